"""CPU that the gate takes for a call: nothing bounds it; limits that are never reached bound it."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import uvloop

from apps.lib.ids import uuid7
from apps.providers.actions import Gate
from apps.providers.actions.gate import Refusal
from apps.providers.domain.calls import Call, Completion, Exchange, Route
from apps.providers.domain.limits import BucketLimits
from apps.providers.domain.outcomes import Outcome
from apps.spend.domain.usage import TokenUsage

_IN_FLIGHT = 500
_WIDE = BucketLimits(requests_per_minute=60_000_000, tokens_per_minute=2_000_000_000)
_APART = BucketLimits(requests_per_minute=60_000_000, input_tokens_per_minute=2_000_000_000, output_tokens_per_minute=2_000_000_000)
_HEADERS = {"x-ratelimit-limit-requests": "60000000", "x-ratelimit-remaining-requests": "59999999", "x-ratelimit-reset-requests": "1ms"}


def _route(limits: BucketLimits) -> Route:
    return Route(
        target_id=uuid4(), provider_id=uuid4(), provider_name="p", kind="openai", base_url="http://127.0.0.1:9/v1", upstream_model="m",
        connect_timeout_seconds=5, read_timeout_seconds=5, total_timeout_seconds=5, provider_limits=limits, target_limits=BucketLimits(),
    )  # fmt: skip


def _completion(route: Route) -> Completion:
    exchange = Exchange(
        target_id=route.target_id, provider_id=route.provider_id, upstream_model="m", path="/v1/chat/completions", outcome=Outcome.OK,
        sent_at=datetime.now(UTC), duration_seconds=0.05, status_code=200, headers=_HEADERS,
    )  # fmt: skip
    return Completion(outcome=Outcome.OK, exchanges=(exchange,), status_code=200, usage=TokenUsage(input_tokens=20, output_tokens=30))


async def _run(route: Route, calls: int, *, is_gated: bool) -> float:
    """CPU seconds for `calls`, as many in the air as in a pump; each thinks for 10 ms."""
    call = Call(run_id=uuid7(), model_id=uuid4(), endpoint="/v1/chat/completions", body=b'{"model": "m", "max_tokens": 50}' + b" " * 450)
    completion, left = _completion(route), iter(range(calls))
    async with Gate(pump_id=uuid7(), is_interactive=False) as gate:

        async def work() -> None:
            for _ in left:
                if not is_gated:
                    await asyncio.sleep(0.01)
                    continue
                gate.is_open(route)
                admission = await gate.admit(call, route)
                if isinstance(admission, Refusal):
                    raise TypeError("a limit that is never reached was reached")
                await asyncio.sleep(0.01)
                admission.settle(completion, call, route)

        started = time.process_time()
        await asyncio.gather(*(work() for _ in range(_IN_FLIGHT)))
        return time.process_time() - started


def gate_cost(*, calls: int) -> list[dict[str, Any]]:
    """Milliseconds of CPU a call, less those of the same loop without a gate; the least of three runs each."""
    rows = []
    for what, limits in (
        ("nothing bounds the call", BucketLimits()),
        ("requests and tokens are bounded, far off", _WIDE),
        ("requests, input and output are bounded, far off", _APART),
    ):
        gated, bare = (
            min(uvloop.run(_run(_route(limits), calls, is_gated=is_gated)) for _ in range(3)) / calls * 1000 for is_gated in (True, False)
        )
        rows.append({"what": what, "calls": calls, "gate_cpu_ms_per_call": round(gated - bare, 4)})
    return rows
