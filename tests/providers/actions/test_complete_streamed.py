"""Streamed answers of both kinds of provider, over real HTTP: the same completion as in one piece, and nothing half counts as one."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from apps.lib.redaction import REDACTED, forms_of
from apps.providers.actions import complete, open_session
from apps.providers.domain.calls import Completion
from apps.providers.domain.chat_stream import ChatAssembly
from apps.providers.domain.outcomes import Outcome
from tests.factories.providers import clock, make_call, make_catalogue, make_gate, make_route
from tests.indiscreet_providers import STREAMED, events_of, indiscreet_provider, read_together
from tests.providers.adapters.raw_server import raw_server, says
from tests.providers.adapters.test_http import whole
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
    # Two calls, whose seconds may differ.
    one_piece, pieces = ({**orjson.loads(found.answer), "created": 0} for found in (whole, streamed))
    assert pieces == one_piece
    assembly = ChatAssembly()
    for chunk in told:
        assembly.add(chunk)
    put_together = assembly.whole()
    assert put_together is not None
    assert put_together["choices"] == one_piece["choices"]
    assert put_together["usage"] == one_piece["usage"]
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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", STREAMED)
async def test_a_key_that_is_repeated_in_pieces_is_told_to_nobody_and_not_kept(kind: str, way: str) -> None:
    """In every form, whole and broken off; the pieces and the record, each put together again."""
    secret = "sk-live-0123+456789/abcdef"
    told: list[Any] = []
    call = replace(make_call("hi"), is_streamed=True)
    with indiscreet_provider() as (address, _):
        catalogue = make_catalogue(make_route(f"{address}/{way}/v1", kind=kind, api_key=secret))
        async with open_session(max_connections=2) as session:
            found = await complete(
                call, session=session, catalogue=catalogue, clock=clock, gate=make_gate(), tell=lambda data: told.append(orjson.loads(data))
            )
    assert found.outcome is (Outcome.OK if way == "pieces" else Outcome.AMBIGUOUS)
    text = "".join(choice["delta"].get("content") or "" for chunk in told for choice in chunk["choices"])
    kept = found.exchanges[0].answer
    kept_text = read_together(events_of(kept))
    assert text.count(REDACTED) > 5
    assert (kept_text if way == "broken" else kept.decode()).count(REDACTED) > 5
    for form in forms_of(secret):
        # What the text breaks off in may be the well-known beginning of a form.
        assert form[:11] not in text + kept_text + kept.decode()
    if way == "pieces":
        assert text == orjson.loads(found.answer)["choices"][0]["message"]["content"]


async def test_a_piece_that_is_nested_too_deep_breaks_the_stream() -> None:
    deep = b'data: {"choices":[{"delta":{"a":' + b"[" * 300 + b"]" * 300 + b"}}]}\n\n"
    call = replace(make_call("hi"), is_streamed=True)
    async with raw_server(says(whole(deep, "Content-Type: text/event-stream"))) as base_url, open_session(max_connections=2) as session:
        catalogue = make_catalogue(make_route(base_url))
        completion = await complete(call, session=session, catalogue=catalogue, clock=clock, gate=make_gate(), tell=lambda _: None)
    assert (completion.outcome, completion.error_code) == (Outcome.AMBIGUOUS, "cut")
    assert "nested too deep" in completion.error_message
