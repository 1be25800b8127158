"""A web process is gone with callers that waited: the same call that comes next gets what was asked for one of them, once."""

import asyncio
import importlib
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from apps.accounts.models import IdempotencyRecord
from apps.jobs.actions.call_threads import in_thread
from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.models import Item
from apps.lib import redis_client as redis_module
from apps.lib import shutdown
from apps.lib.redis_client import open_async_redis, redis_client
from tests.jobs.calls.callers import ANSWER, GOOD, begin, end, leave, make_callable, make_secret, next_item, post, until_heard

pytestmark = pytest.mark.django_db(transaction=True)

SENT, AGAIN = {"x-stainless-retry-count": "0"}, {"x-stainless-retry-count": "1"}
KEYS = "aiplatform:unheard:*"
GONE = "aiplatform:reply:of-a-process-that-was-killed"


# The package gives their functions these names, too.
taking = importlib.import_module("apps.jobs.actions.take_over_call")
streaming = importlib.import_module("apps.jobs.actions.stream_call")


@pytest.fixture(autouse=True)
def _sure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has to make sure that a process is gone doesn't wait; tests/chaos has it with the time that it takes."""
    monkeypatch.setattr(taking, "_make_sure", _look_again)


async def _look_again() -> None:
    await asyncio.sleep(0)


@pytest.fixture
def secret() -> str:
    make_callable()
    return make_secret()


async def until(is_true: Callable[[], bool]) -> None:
    while True:
        if await in_thread(is_true):
            return
        await asyncio.sleep(0.005)


async def left_behind(secret: str) -> Item:
    """The running item of a caller whose process is gone: as it stood before it could be told that it has left."""
    call = asyncio.create_task(post(secret, GOOD, **SENT))
    item = await next_item()
    key = await in_thread(key_of, item)
    await in_thread(begin, item.id)
    await until_heard(item.reply_to)
    await leave(call)
    await until(lambda: not redis_client().hexists(key, item.id.hex))
    await in_thread(IdempotencyRecord.objects.all().delete)
    await in_thread(left_at, GONE, item, key)
    return item


def key_of(item: Item) -> str:
    """Where it stands as unheard."""
    (key,) = (str(key) for key in redis_client().keys(KEYS) if redis_client().hexists(key, item.id.hex))
    return key


def left_at(channel: str, item: Item, key: str) -> None:
    """Its caller waits at another process, which listens on that channel, if it lives."""
    Item.objects.filter(id=item.id).update(reply_to=channel)
    redis_client().hset(key, item.id.hex, channel)


async def asked(secret: str, **headers: str) -> Any:
    """A call that is asked and answered."""
    call = asyncio.create_task(post(secret, GOOD, **headers))
    await end(await next_item())
    return await call


async def until_taken_over(item: Item) -> None:
    await until(lambda: Item.objects.get(id=item.id).reply_to != GONE)


async def until_unheard(count: int) -> None:
    await until(lambda: unheard() == count)


def unheard() -> int:
    return sum(map(redis_client().hlen, redis_client().scan_iter(KEYS)))


@pytest.mark.parametrize("again", [SENT, AGAIN])
async def test_the_next_same_call_gets_the_answer_once(secret: str, again: dict[str, str]) -> None:
    item = await left_behind(secret)
    call = asyncio.create_task(post(secret, GOOD, **again))
    await until_taken_over(item)
    await end(item)
    answer = await call
    assert (answer.content, answer["X-Item-Id"], answer["Idempotency-Replayed"]) == (ANSWER, item.public_id, "true")
    assert (await asked(secret, **again))["X-Item-Id"] != item.public_id
    assert await in_thread(Item.objects.count) == 2


async def test_what_has_ended_meanwhile_is_there_at_once(secret: str) -> None:
    item = await left_behind(secret)
    await end(item, publish=False)
    assert (await post(secret, GOOD, **SENT))["X-Item-Id"] == item.public_id


async def test_of_two_that_come_for_it_one_gets_it(secret: str) -> None:
    item = await left_behind(secret)
    calls = [asyncio.create_task(post(secret, GOOD, **AGAIN)) for _ in range(2)]
    await end(await next_item())
    await end(item)
    answers = await asyncio.gather(*calls)
    assert sorted(answer["X-Item-Id"] == item.public_id for answer in answers) == [False, True]


async def test_whoever_takes_it_over_may_be_killed_as_well(secret: str) -> None:
    item = await left_behind(secret)
    second = asyncio.create_task(post(secret, GOOD, **SENT))
    await until_taken_over(item)
    await until_unheard(1)
    await in_thread(left_at, GONE, item, await in_thread(key_of, item))
    third = asyncio.create_task(post(secret, GOOD, **SENT))
    await until_taken_over(item)
    await end(item, publish=False)
    assert [answer["X-Item-Id"] for answer in await asyncio.gather(second, third)] == [item.public_id] * 2
    assert await in_thread(Item.objects.count) == 1


async def test_a_caller_that_still_waits_keeps_its_call(secret: str) -> None:
    first = asyncio.create_task(post(secret, GOOD, **SENT))
    item = await next_item()
    await in_thread(begin, item.id)
    await until_heard(item.reply_to)
    answer = await asked(secret, **AGAIN)
    assert answer["X-Item-Id"] != item.public_id
    await end(item)
    assert (await first)["X-Item-Id"] == item.public_id


@pytest.mark.parametrize(
    "headers", [{"X-Feature": "mail"}, {"X-Max-Cost-Usd": "1"}, {"X-Cache": "on"}, {"X-Prompt-Version": "greet@2"}], ids=str
)
async def test_a_call_that_asks_for_something_else_is_another(secret: str, headers: dict[str, str]) -> None:
    item = await left_behind(secret)
    assert (await asked(secret, **SENT, **headers))["X-Item-Id"] != item.public_id


async def test_what_failed_is_asked_again(secret: str) -> None:
    item = await left_behind(secret)
    await end(item, publish=False, answer=None, state=ItemState.DEAD, outcome="failed_upstream")
    assert (await asked(secret, **SENT))["X-Item-Id"] != item.public_id


async def forge_foreign(item: Item, key: str) -> None:
    """The id of what another workspace asked, in this key's set."""
    await in_thread(redis_client().hset, key, item.id.hex, GONE)


async def forge_garbage(_: Item, key: str) -> None:
    await in_thread(lambda: redis_client().hset(key, mapping={"x" * 32: GONE, "": GONE, "\x00": "", "é" * 40: "\x00", "f" * 32: "a b"}))


@pytest.mark.parametrize("forge", [forge_foreign, forge_garbage])
async def test_what_others_write_to_redis_brings_no_answer(secret: str, forge: Callable[[Item, str], Awaitable[None]]) -> None:
    stranger = await in_thread(make_secret, "globex")
    item, own = await left_behind(stranger), await left_behind(secret)
    await in_thread(Item.objects.filter(id=own.id).update, state=ItemState.DEAD)
    for key in redis_client().keys(KEYS):
        await forge(item, key)
    assert (await asked(secret, **SENT))["X-Item-Id"] not in {item.public_id, own.public_id}


async def test_whoever_has_heard_or_left_leaves_nothing_there(secret: str) -> None:
    await asked(secret, **SENT)
    call = asyncio.create_task(post(secret, GOOD, **SENT))
    await next_item()
    await until_unheard(1)
    await leave(call)
    await until_unheard(0)
    assert (await post(secret, GOOD | {"model": "absent"}, **SENT)).status_code == 404
    await until_unheard(0)


async def test_a_process_that_listens_again_keeps_its_calls(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis was restarted, say: for a moment nobody listens."""
    item = await left_behind(secret)
    async with open_async_redis() as client, client.pubsub() as subscription:

        async def listen() -> None:
            await subscription.subscribe(GONE)
            await until_heard(GONE)

        monkeypatch.setattr(taking, "_make_sure", listen)
        assert (await asked(secret, **AGAIN))["X-Item-Id"] != item.public_id


async def test_a_process_takes_nothing_from_its_own_callers(secret: str) -> None:
    """Its connection to Redis was lost; it listens again in a second."""
    first = asyncio.create_task(post(secret, GOOD, **SENT))
    item = await next_item()
    await in_thread(begin, item.id)
    await until_heard(item.reply_to)
    await in_thread(redis_client().client_kill_filter, _type="pubsub")
    assert (await asked(secret, **AGAIN))["X-Item-Id"] != item.public_id
    await end(item)
    assert (await first)["X-Item-Id"] == item.public_id


async def test_whoever_takes_it_over_and_leaves_gets_it_when_it_comes_again(secret: str) -> None:
    item = await left_behind(secret)
    second = asyncio.create_task(post(secret, GOOD, **SENT))
    await until_taken_over(item)
    await until_unheard(1)
    await leave(second)
    third = asyncio.create_task(post(secret, GOOD, **AGAIN))
    await end(item, publish=False)
    assert (await third)["X-Item-Id"] == item.public_id
    assert await in_thread(Item.objects.count) == 1


@pytest.mark.parametrize("headers", [SENT, {"idempotency-key": "k"}], ids=["taken over", "sent again"])
async def test_a_stream_that_gets_the_answer_of_another_call_begins_before_it_is_there(
    secret: str, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT_SECONDS", 0.01)
    streamed = GOOD | {"stream": True}
    first = asyncio.create_task(post(secret, streamed, **headers))
    item = await next_item()
    await in_thread(begin, item.id)
    if headers == SENT:
        key = await in_thread(key_of, item)
        await leave(first)
        await until_unheard(0)
        await in_thread(left_at, GONE, item, key)
    answer = await post(secret, streamed, **headers)
    assert (answer["Content-Type"], answer["Idempotency-Replayed"], answer["X-Item-Id"]) == ("text/event-stream", "true", item.public_id)
    assert await in_thread(Item.objects.filter(state=ItemState.RUNNING).exists)
    lines = aiter(answer)
    assert await anext(lines) == b": still here\n\n"
    await end(item, publish=False)
    rest = [line async for line in lines if line != b": still here\n\n"]
    assert b"hello" in b"".join(rest)
    assert rest[-1] == b"data: [DONE]\n\n"
    await asyncio.gather(first, return_exceptions=True)


async def test_what_was_heard_while_redis_was_away_is_forgotten_later(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it would be given to the next one, once this process has stopped."""
    call = asyncio.create_task(post(secret, GOOD, **SENT))
    item = await next_item()
    with monkeypatch.context() as away, capture_logs() as logs:
        away.setattr(redis_module._Rest, "until", time.monotonic() + 3600)
        await end(item)
        await call
        await until(lambda: "heard_calls_not_forgotten" in [line["event"] for line in logs])
    assert await in_thread(unheard) == 1
    monkeypatch.setattr(redis_module._Rest, "until", 0.0)
    await until_unheard(0)


async def test_a_process_that_stops_forgets_at_once_and_keeps_whom_it_sends_away(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = [asyncio.create_task(post(secret, GOOD | {"seed": seed}, **SENT)) for seed in range(2)]
    await until(lambda: Item.objects.count() == 2)
    first, second = await in_thread(lambda: list(Item.objects.order_by("id")))
    await in_thread(begin, second.id)
    monkeypatch.setattr(shutdown, "_flag", bytearray(b"\x01"))
    await end(first, publish=False)
    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    assert await in_thread(unheard) == 1
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    assert await in_thread(key_of, second)


async def test_what_is_too_old_is_cleared_away(secret: str) -> None:
    item = await left_behind(secret)
    key, old = await in_thread(key_of, item), UUID(int=item.id.int - (15 * 60_000 << 80)).hex
    await in_thread(redis_client().hset, key, old, GONE)
    await end(item, publish=False)
    await post(secret, GOOD, **SENT)
    assert not await in_thread(redis_client().hexists, key, old)
