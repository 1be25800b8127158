"""The usual way, for comparison: one process, the OpenAI SDK with its own retries, aiolimiter for requests and tokens a minute.

Needs `pip install aiolimiter` beside the platform's own packages. It is given the whole limit and shares it with nobody.
"""

import asyncio
import sys
import time
from itertools import count

import openai
import uvloop
from aiolimiter import AsyncLimiter

_SLOTS = 400


async def run(base_url: str, requests_per_minute: int, tokens_per_minute: int, seconds: float, tokens: list[int]) -> None:
    """Call after call for `seconds`; the n-th asks for `tokens[n % len(tokens)]`, and is known to use 20 more for its input."""
    requests, budget = AsyncLimiter(requests_per_minute, 60), AsyncLimiter(tokens_per_minute, 60)
    client = openai.AsyncOpenAI(base_url=base_url, api_key="none", max_retries=10, timeout=60)
    numbers, until = count(), time.monotonic() + seconds
    failed = 0

    async def work() -> None:
        nonlocal failed
        while time.monotonic() < until:
            n = next(numbers)
            size = tokens[n % len(tokens)]
            await requests.acquire()
            await budget.acquire(size + 20)
            try:
                await client.chat.completions.create(
                    model="simulated", messages=[{"role": "user", "content": f"[[sim tokens={size}]] prompt {n}"}]
                )
            except openai.APIError:
                failed += 1

    workers = [asyncio.create_task(work()) for _ in range(_SLOTS)]
    await asyncio.sleep(seconds)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    print(failed)


if __name__ == "__main__":
    base_url, requests, tokens, seconds, sizes = sys.argv[1:]
    uvloop.run(run(base_url, int(requests), int(tokens), float(seconds), [int(size) for size in sizes.split(",")]))
