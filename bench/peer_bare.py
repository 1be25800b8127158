"""A bare client: asyncio and aiohttp, a window of calls, nothing stored. Prints calls a second and CPU seconds a call."""

import asyncio
import sys
import time

import aiohttp
import orjson
import uvloop


async def run(base_url: str, items: int, slots: int) -> None:
    numbers = iter(range(items))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=slots)) as session:

        async def work() -> None:
            for number in numbers:
                body = orjson.dumps({"model": "simulated", "messages": [{"role": "user", "content": f"prompt {number}"}]})
                async with session.post(f"{base_url}/chat/completions", data=body, headers={"Content-Type": "application/json"}) as answer:
                    orjson.loads(await answer.read())

        await asyncio.gather(*(work() for _ in range(slots)))


if __name__ == "__main__":
    started, cpu = time.perf_counter(), time.process_time()
    count = int(sys.argv[2])
    uvloop.run(run(sys.argv[1], count, int(sys.argv[3])))
    print(count / (time.perf_counter() - started), (time.process_time() - cpu) / count)
