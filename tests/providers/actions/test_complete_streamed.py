"""Streamed answers of both kinds of provider, over real HTTP: the same completion as in one piece, and nothing half counts as one."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from apps.providers.actions import complete, open_session
from apps.providers.domain.calls import Completion
from apps.providers.domain.chat_stream import ChatAssembly
from apps.providers.domain.outcomes import Outcome
from tests.factories.providers import clock, make_call, make_catalogue, make_gate, make_route
from tests.simulated import Simulator

KINDS = ("openai", "anthropic")


async def ask(simulator: Simulator, prompt: str, *, kind: str, is_streamed: bool = True, **route: Any) -> tuple[Completion, list[Any]]:
    """What it comes to, and the chunks that were told."""
    told: list[Any] = []
    call = replace(make_call(prompt), is_streamed=is_streamed, is_usage_told=True)
    catalogue = make_catalogue(make_route(simulator.base_url, kind=kind, **route))
    async with open_session(max_connections=2) as session:
        found = await complete(
            call, session=session, catalogue=catalogue, clock=clock, gate=make_gate(), tell=lambda data: told.append(orjson.loads(data))
        )
    return found, told


@pytest.mark.parametrize("kind", KINDS)
async def test_streamed_as_in_one_piece(simulator: Simulator, kind: str) -> None:
    whole, nothing = await ask(simulator, "[[sim pieces=5]]", kind=kind, is_streamed=False)
    streamed, told = await ask(simulator, "[[sim pieces=5]]", kind=kind)
    assert nothing == []
    assert (streamed.outcome, streamed.usage, streamed.raw_usage) == (Outcome.OK, whole.usage, whole.raw_usage)
    assert orjson.loads(streamed.answer) == orjson.loads(whole.answer)
    assembly = ChatAssembly()
    for chunk in told:
        assembly.add(chunk)
    put_together, wanted = assembly.whole(), orjson.loads(whole.answer)
    assert put_together is not None
    assert put_together["choices"] == wanted["choices"]
    assert put_together["usage"] == wanted["usage"]
    assert sum(bool(choice["delta"].get("content")) for chunk in told for choice in chunk["choices"]) == 5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("script", ["cut", "reset_body"])
async def test_half_a_stream_is_no_answer(simulator: Simulator, kind: str, script: str) -> None:
    completion, told = await ask(simulator, f"[[sim {script} pieces=6]]", kind=kind)
    assert (completion.outcome, completion.error_code) == (Outcome.AMBIGUOUS, "cut")
    assert told
    assert simulator.calls()["total"] == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_failure_in_place_of_a_stream_has_its_own_class(simulator: Simulator, kind: str) -> None:
    completion, told = await ask(simulator, "[[sim status=500]]", kind=kind)
    assert (completion.outcome, told) == (Outcome.FAILED_UPSTREAM, [])


async def test_a_stream_without_usage_is_charged_by_our_estimate(simulator: Simulator) -> None:
    completion, _ = await ask(simulator, "[[sim usage=missing]]", kind="openai")
    assert completion.outcome is Outcome.OK
    assert completion.usage is not None
    assert completion.usage.output_tokens > 0


async def test_a_repeated_key_is_told_to_nobody(simulator: Simulator) -> None:
    secret = "sk-live-0123456789abcdef"
    completion, told = await ask(simulator, f"[[sim say=my%20{secret}%20key pieces=1]]", kind="openai", api_key=secret)
    assert completion.outcome is Outcome.OK
    assert secret.encode() not in orjson.dumps(told) + completion.answer
