"""Limits, storms and hostile answers, over real HTTP and through the platform's own door to providers."""

import asyncio
import json
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import aiohttp
import pytest

from apps.lib.ports import free_port
from apps.ops.domain.behaviour import Behaviour, read_behaviour
from apps.ops.simulator.server import serve
from apps.ops.simulator.simulator import Simulator
from apps.providers.actions import complete, open_session
from apps.providers.domain.calls import Completion
from apps.providers.domain.limits import read_told
from apps.providers.domain.outcomes import Outcome
from apps.spend.domain.usage import TokenUsage
from tests.factories.providers import clock, make_call, make_catalogue, make_gate, make_route

every_kind = pytest.mark.parametrize("kind", ["openai", "anthropic"])


@pytest.fixture
async def root() -> AsyncIterator[str]:
    """A simulator of this test's own."""
    port, listening = free_port(), asyncio.Event()
    behaviour = read_behaviour({"latency": "fixed:0"}, Behaviour(latency=float), Random(1))
    task = asyncio.create_task(serve(Simulator(behaviour, chance=Random(1)), port=port, listening=listening.set))
    await listening.wait()
    yield f"http://127.0.0.1:{port}"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def ask(root: str, prompt: str = "hello", **route: Any) -> Completion:
    given = {"kind": "openai", "total_timeout_seconds": 60.0} | route
    async with open_session(max_connections=1) as session:
        return await complete(
            make_call(prompt), session=session, catalogue=make_catalogue(make_route(f"{root}/v1", **given)), clock=clock, gate=make_gate()
        )


async def change(root: str, **values: Any) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.post(f"{root}/sim/script", json=values) as answer:
        return answer.status, await answer.json()


@every_kind
async def test_a_refusal_is_told_in_each_shape(root: str, kind: str) -> None:
    (choice,) = json.loads((await ask(root, "[[sim refuse]] hello", kind=kind)).answer)["choices"]
    assert choice["finish_reason"] == "content_filter"


async def stats(root: str) -> Any:
    async with aiohttp.ClientSession() as session, session.get(f"{root}/sim/stats") as answer:
        return await answer.json()


@every_kind
async def test_an_answer_in_each_shape(root: str, kind: str) -> None:
    completion = await ask(root, "[[sim tokens=40]]", kind=kind)
    assert (completion.outcome, completion.usage) == (Outcome.OK, TokenUsage(input_tokens=20, output_tokens=40))
    assert json.loads(completion.answer)["choices"][0]["message"]["content"].startswith("The simulated provider")


@every_kind
@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (302, Outcome.REJECTED),
        (400, Outcome.REJECTED),
        (401, Outcome.CREDENTIAL),
        (402, Outcome.CREDENTIAL),
        (404, Outcome.CREDENTIAL),
        (429, Outcome.THROTTLED),
        (500, Outcome.FAILED_UPSTREAM),
        (529, Outcome.THROTTLED),
    ],
)
async def test_an_error_in_each_shape(root: str, kind: str, status: int, outcome: Outcome) -> None:
    completion = await ask(root, f"[[sim status={status}]]", kind=kind)
    assert (completion.outcome, completion.status_code) == (outcome, status)
    assert json.loads(completion.answer)["error"]["message"] == f"A simulated failure with status {status}."


@every_kind
@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("hang", "timed_out"),
        ("drip", "timed_out"),
        ("cut", "cut"),
        ("reset", "cut"),
        ("reset_body", "cut"),
        ("malformed", "unreadable_answer"),
        ("gzip_bomb", "too_long"),
        ("body_kilobytes=2000", "too_long"),
    ],
)
async def test_a_hostile_answer_may_have_been_billed(root: str, kind: str, script: str, code: str, settings: Any) -> None:
    settings.PROVIDERS_MAX_ANSWER_BYTES = 1_000_000
    completion = await ask(root, f"[[sim {script}]]", kind=kind, total_timeout_seconds=2.0 if code == "timed_out" else 60.0)
    assert (completion.outcome, completion.error_code) == (Outcome.AMBIGUOUS, code)


@every_kind
async def test_an_answer_without_an_answer(root: str, kind: str) -> None:
    assert (await ask(root, "[[sim empty]]", kind=kind)).outcome is Outcome.AMBIGUOUS


@every_kind
@pytest.mark.parametrize("usage", ["zero", "negative", "huge", "text", "missing"])
async def test_a_wrong_usage_is_estimated_and_noted(root: str, kind: str, usage: str) -> None:
    completion = await ask(root, f"[[sim usage={usage}]]", kind=kind)
    assert completion.outcome is Outcome.OK
    assert completion.usage is not None
    assert (0 < completion.usage.input_tokens < 100, 0 < completion.usage.output_tokens < 100) == (True, True)
    assert "estimate" in completion.exchanges[0].error


@pytest.mark.parametrize(
    ("form", "least", "most"),
    [
        ("seconds", 30, 30),
        ("ms", 30, 30),
        ("date", 10, 31),
        ("huge", 86400, 86400),
        ("none", None, None),
        ("garbage", None, None),
        ("negative", None, None),
    ],
)
async def test_each_form_of_a_wait(root: str, form: str, least: float | None, most: float | None) -> None:
    seconds = (await ask(root, f"[[sim status=429 retry_after=30 retry_after_form={form}]]")).retry_after_seconds
    assert seconds is None if least is None or most is None else seconds is not None and least <= seconds <= most


@every_kind
async def test_requests_beyond_the_minutes_limit_are_429_with_real_headers(root: str, kind: str) -> None:
    await change(root, requests_per_minute=3, tokens_per_minute=10_000)
    seen = [await ask(root, kind=kind) for _ in range(5)]
    assert [completion.status_code for completion in seen] == [200, 200, 200, 429, 429]
    words = "anthropic-ratelimit-requests-{}" if kind == "anthropic" else "x-ratelimit-{}-requests"
    lefts = [completion.exchanges[0].headers[words.format("remaining")] for completion in seen]
    assert (lefts, seen[0].exchanges[0].headers[words.format("limit")]) == (["2", "1", "0", "0", "0"], "3")
    assert seen[3].outcome is Outcome.THROTTLED
    assert seen[3].retry_after_seconds
    assert 30 <= seen[3].retry_after_seconds <= 60
    counted = await stats(root)
    assert counted["by_status"] == {"200": 3, "429": 2}
    assert counted["by_key"] == {"test": {"200": 3, "429": 2}}
    assert counted["minutes"] == [{"minute": 0, "answered": 3, "throttled": 2, "tokens": 150}]
    assert counted["last_minute"][""] == {
        "requests": 3, "requests_per_minute": 3, "tokens": 150, "tokens_per_minute": 10_000,
        "input_tokens": 60, "input_tokens_per_minute": None, "output_tokens": 90, "output_tokens_per_minute": None,
    }  # fmt: skip


async def test_tokens_beyond_the_minutes_limit_are_429(root: str) -> None:
    await change(root, tokens_per_minute=100)
    assert [(await ask(root)).status_code for _ in range(3)] == [200, 200, 429]
    await change(root, tokens_per_minute=None)
    assert (await ask(root)).status_code == 200


@every_kind
@pytest.mark.parametrize("part", ["input", "output"])
async def test_input_and_output_beyond_limits_of_their_own_are_429(root: str, kind: str, part: str) -> None:
    most = {"input": 45, "output": 70}[part]
    await change(root, **{f"{part}_tokens_per_minute": most})
    seen = [await ask(root, kind=kind) for _ in range(3)]
    assert [completion.status_code for completion in seen] == [200, 200, 429]
    assert seen[2].retry_after_seconds
    told = [read_told(completion.exchanges[0].headers, now=clock()) for completion in seen]
    known = [(getattr(one, f"{part}_tokens"), getattr(one, f"{part}_tokens_left")) for one in told]
    lefts = {"input": [25, 5, 5], "output": [40, 10, 10]}[part]
    assert known == ([(most, left) for left in lefts] if kind == "anthropic" else [(0, -1)] * 3)


async def test_a_lowered_limit_holds_at_once(root: str) -> None:
    await change(root, requests_per_minute=100)
    assert [(await ask(root)).status_code for _ in range(3)] == [200, 200, 200]
    await change(root, requests_per_minute=2)
    assert (await ask(root)).status_code == 429


async def test_a_script_for_one_key_leaves_the_others_alone(root: str) -> None:
    await change(root, api_key="sk-Team-A", script="status=503")
    assert [(await ask(root, api_key=key)).status_code for key in ("sk-Team-A", "sk-b")] == [503, 200]
    await change(root, script="status=500")
    assert [(await ask(root, api_key=key)).status_code for key in ("sk-Team-A", "sk-b")] == [503, 500]
    await change(root, api_key="sk-Team-A", script="")
    assert [(await ask(root, api_key=key)).status_code for key in ("sk-Team-A", "sk-b")] == [200, 500]


@pytest.mark.parametrize("values", [{"script": "fly"}, {"api_key": 7}, {"colour": "red"}])
async def test_a_change_that_cannot_be_read_changes_nothing(root: str, values: dict[str, Any]) -> None:
    status, answer = await change(root, **values)
    assert (status, bool(answer["error"]["message"])) == (400, True)
    assert (await ask(root)).status_code == 200
