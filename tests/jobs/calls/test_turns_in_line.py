"""Turns that wait: in the order in which they came, without holding threads, and with signs of life for whoever reads a stream."""

import asyncio
import json
import sys
from typing import Any

import pytest

from apps.conversations.models import Conversation, Turn
from apps.jobs.actions import say_turn, turn_ask
from apps.jobs.actions.call_threads import MAX_THREADS, in_thread
from apps.jobs.actions.stream_call import stream_call
from apps.jobs.actions.turn_line import TurnLine, turn_line
from apps.jobs.domain.call_answer import CallAnswer
from apps.jobs.domain.call_request import Caller
from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.domain.streamed_answer import StreamedAnswer
from apps.jobs.domain.turn_request import read_native_turn
from apps.jobs.models import Item
from apps.lib.clock import current_time
from apps.lib.ids import uuid7
from tests.factories.conversations import make_conversation, make_turn
from tests.factories.knowledge import make_collection
from tests.jobs.calls.callers import CHAT, end, make_callable, make_secret, next_item, post
from tests.jobs.rows import make_workspace

pytestmark = pytest.mark.django_db(transaction=True)
saying = sys.modules[say_turn.__module__]
streaming = sys.modules[stream_call.__module__]
HELLO = json.dumps({"id": "chatcmpl-1", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}}]}).encode()
VECTOR = json.dumps({"data": [{"index": 0, "embedding": [1.0] + [0.0] * 255}], "usage": {"prompt_tokens": 1, "total_tokens": 1}}).encode()


@pytest.fixture
def conversation() -> Conversation:
    make_callable()
    return make_conversation(make_workspace("acme"))


async def said(conversation: Conversation, text: str, **values: Any) -> Any:
    """A turn as `/api` brings it."""
    ask = turn_ask(Caller(conversation.workspace_id, None), conversation.id, read_native_turn({"input": text} | values), headers={})
    told = StreamedAnswer(is_usage_told=False) if values.get("stream") else None
    return await say_turn(ask, item_id=uuid7(), told=told, clock=current_time)


async def until_waiting(conversation: Conversation, number: int) -> None:
    """Return once so many stand behind the one that is asked next."""
    while True:
        if turn_line().has_some(conversation.id) and turn_line().count_waiting(conversation.id) == number:
            return
        await asyncio.sleep(0.005)


async def waiting_items(endpoint: str, number: int = 1) -> list[Item]:
    """Items for this endpoint, once so many wait."""
    while True:
        items = await in_thread(lambda: list(Item.objects.filter(state=ItemState.WAITING, job__endpoint=endpoint)))
        if len(items) == number:
            return items
        await asyncio.sleep(0.005)


async def test_those_that_wait_are_asked_in_the_order_in_which_they_came(conversation: Conversation) -> None:
    calls = [asyncio.create_task(said(conversation, "0"))]
    first = await next_item()
    for number in range(1, 5):
        calls.append(asyncio.create_task(said(conversation, str(number))))
        await until_waiting(conversation, number - 1)
    # One of them leaves.
    calls[2].cancel()
    await until_waiting(conversation, 2)
    await end(first, answer=HELLO)
    for _ in range(3):
        await end(await next_item(), answer=HELLO)
    await asyncio.gather(*calls, return_exceptions=True)
    turns = await in_thread(lambda: list(Turn.objects.order_by("number").values_list("input", "resolution", "state")))
    assert turns == [("0", "", "answered"), ("1", "waited", "answered"), ("3", "waited", "answered"), ("4", "waited", "answered")]
    assert not turn_line().has_some(conversation.id)


async def test_who_came_first_is_called_first_and_who_leaves_is_passed_over() -> None:
    line, key, called, is_open = TurnLine(), uuid7(), [], asyncio.Event()

    async def stand(ticket: int) -> None:
        async with line.head(key, ticket):
            called.append(ticket)
            await is_open.wait()

    tasks = {}
    for ticket in (0, 3, 1, 4, 2):
        tasks[ticket] = asyncio.create_task(stand(ticket))
        await asyncio.sleep(0)
    assert (called, line.count_waiting(key)) == ([0], 4)
    tasks[1].cancel()
    is_open.set()
    await asyncio.gather(*tasks.values(), return_exceptions=True)
    assert (called, line.has_some(key), line.count_waiting(key)) == ([0, 2, 3, 4], False, 0)


async def test_a_turn_that_is_called_and_leaves_in_the_same_moment_calls_the_next_one() -> None:
    line, key = TurnLine(), uuid7()

    async def stand(ticket: int) -> int:
        async with line.head(key, ticket):
            return ticket

    async with line.head(key, 0):
        leaves, stays = asyncio.create_task(stand(1)), asyncio.create_task(stand(2))
        await asyncio.sleep(0)
    leaves.cancel()
    assert await asyncio.wait_for(stays, 30) == 2
    assert leaves.cancelled()
    assert not line.has_some(key)


async def test_slow_embeddings_hold_up_nobody_elses_turn(conversation: Conversation) -> None:
    """More of them than there are threads for turns."""

    def begin() -> list[Conversation]:
        make_callable("embed")
        collection = make_collection(make_workspace("acme"), embedder="embed", dimensions=256)
        return [make_conversation(conversation.workspace, collection_id=collection.id) for _ in range(MAX_THREADS + 1)]

    slow = await in_thread(begin)
    waiting = [asyncio.create_task(said(one, f"When {number}?")) for number, one in enumerate(slow)]
    embedding = await waiting_items("/v1/embeddings", len(slow))
    quick = asyncio.create_task(said(conversation, "Hello"))
    await end(*await waiting_items(CHAT), answer=HELLO)
    _, answer = await quick
    assert isinstance(answer, CallAnswer)
    assert (answer.status, answer.content) == (200, HELLO)
    # And what waits for a vector goes on once it has it.
    for item in embedding:
        await end(item, answer=VECTOR)
    for item in await waiting_items(CHAT, len(slow)):
        await end(item, answer=HELLO)
    answers = await asyncio.gather(*waiting)
    assert {answer.status for _, answer in answers} == {200}
    assert await in_thread(Turn.objects.exclude(snapshot_id="").count) == len(slow)


async def test_a_stream_that_waits_for_another_turn_shows_that_it_lives(
    conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT_SECONDS", 0.01)
    secret = await in_thread(make_secret, "acme")
    first = asyncio.create_task(said(conversation, "Hello"))
    item = await next_item()
    body = {"model": "small", "stream": True, "conversation_id": conversation.public_id, "messages": [{"role": "user", "content": "And?"}]}
    answer = await post(secret, body)
    assert (answer.status_code, answer["X-Conversation-Id"]) == (200, conversation.public_id)
    lines = aiter(answer.streaming_content)
    assert [await anext(lines) for _ in range(2)] == [b": still here\n\n"] * 2
    await end(item, answer=HELLO)
    await first
    rest = asyncio.create_task(_read(lines))
    await end(await next_item(), answer=HELLO)
    events = [line for line in await rest if not line.startswith(b":")]
    assert b'"content":"Hello"' in b"".join(events)
    assert events[-1] == b"data: [DONE]\n\n"


async def test_a_stream_that_waited_in_vain_says_so_in_its_place(conversation: Conversation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT_SECONDS", 0.01)
    first = asyncio.create_task(said(conversation, "Hello"))
    item = await next_item()
    call, begun = await said(conversation, "And?", stream=True)
    assert call is None
    await in_thread(Conversation.objects.all().delete)
    await end(item, answer=HELLO)
    await first
    *_, last = [piece async for piece in begun.rest]
    assert (last.status, last.code) == (404, "not_found")


async def test_a_streamed_turn_whose_model_is_slow_tells_in_which_fork_it_is_asked(
    conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has been sent does not wait for other turns, however long its first piece takes."""
    periods = 0

    async def ends_soon(asking: asyncio.Task[Any]) -> bool:
        """The first period is over as soon as the turn has been sent."""
        nonlocal periods
        periods += 1
        await (next_item() if periods == 1 else asyncio.wait([asking]))
        return periods > 1

    monkeypatch.setattr(saying, "ends_soon", ends_soon)
    monkeypatch.setattr(streaming, "HEARTBEAT_SECONDS", 0.01)
    await in_thread(make_turn, conversation)
    secret = await in_thread(make_secret, "acme")
    body = {"model": "small", "stream": True, "conversation_id": conversation.public_id, "messages": [{"role": "user", "content": "And?"}]}
    answer = await post(secret, body | {"conversation_state": 0, "on_conflict": "fork"})
    fork = await in_thread(Conversation.objects.exclude(id=conversation.id).get)
    assert (answer["X-Conversation-Id"], answer["X-Conversation-Version"]) == (fork.public_id, "1")
    assert answer["X-Conversation-State"].startswith("0.")
    lines = aiter(answer.streaming_content)
    assert await anext(lines) == b": still here\n\n"
    await end(await next_item(), answer=HELLO)
    assert (await _read(lines))[-1] == b"data: [DONE]\n\n"


@pytest.mark.parametrize("policy", ["", "fork"])
async def test_where_a_turn_is_asked_that_waits_for_its_vector_is_told_unless_it_may_be_forked(
    conversation: Conversation, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT_SECONDS", 0.01)

    def begin() -> tuple[str, str]:
        make_callable("embed")
        collection = make_collection(make_workspace("acme"), embedder="embed", dimensions=256)
        Conversation.objects.update(collection_id=collection.id, **({"on_conflict": policy} if policy else {}))
        return make_secret("acme"), conversation.public_id

    secret, name = await in_thread(begin)
    body = {"model": "small", "stream": True, "conversation_id": name, "messages": [{"role": "user", "content": "When?"}]}
    answer = await post(secret, body)
    assert (answer.status_code, answer.get("X-Conversation-Id")) == (200, None if policy else name)
    rest = asyncio.create_task(_read(answer.streaming_content))
    await end(*await waiting_items("/v1/embeddings"), answer=VECTOR)
    await end(*await waiting_items(CHAT), answer=HELLO)
    assert (await rest)[-1] == b"data: [DONE]\n\n"


async def test_a_stream_of_a_turn_that_was_refused_while_it_waited_ends_with_the_reason(
    conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT_SECONDS", 0.01)
    secret = await in_thread(make_secret, "acme")
    first = asyncio.create_task(said(conversation, "Hello"))
    item = await next_item()
    path = f"/api/conversations/{conversation.public_id}/turns"
    answer = await post(secret, {"input": "And?", "stream": True}, path)
    lines = aiter(answer.streaming_content)
    assert await anext(lines) == b": still here\n\n"
    await in_thread(Conversation.objects.all().delete)
    await end(item, answer=HELLO)
    await first
    *_, last = [line for line in await _read(lines) if not line.startswith(b":")]
    assert b'"code":"not_found"' in last
    assert b"event: turn" not in last


async def _read(lines: Any) -> list[bytes]:
    return [line async for line in lines]


async def test_a_streamed_turn_whose_answer_comes_in_one_piece_is_a_stream_as_well(conversation: Conversation) -> None:
    """Redis told none of its pieces, say."""
    secret = await in_thread(make_secret)
    call = asyncio.create_task(post(secret, {"input": "Hi", "stream": True}, f"/api/conversations/{conversation.public_id}/turns"))
    await end(await next_item(), answer=HELLO)
    answer = await call
    assert answer["Content-Type"] == "text/event-stream"
    told = b"".join(await _read(answer.streaming_content))
    assert b"Hello" in told
    assert b"event: turn" in told
