"""A web process is gone with callers that waited: the same call that comes next gets what was asked for one of them, once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from apps.accounts.models import IdempotencyRecord
from apps.jobs.actions.call_threads import in_thread
from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.models import Item
from apps.lib.redis_client import redis_client
from tests.jobs.calls.callers import ANSWER, GOOD, begin, end, leave, make_callable, make_secret, next_item, post, until_heard

pytestmark = pytest.mark.django_db(transaction=True)

SENT, AGAIN = {"x-stainless-retry-count": "0"}, {"x-stainless-retry-count": "1"}
KEYS = "aiplatform:unheard:*"
GONE = "aiplatform:reply:of-a-process-that-was-killed"


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
    (key,) = (key for key in redis_client().keys(KEYS) if redis_client().sismember(key, item.id.hex))
    await in_thread(begin, item.id)
    await until_heard(item.reply_to)
    await leave(call)
    await until(lambda: not redis_client().sismember(key, item.id.hex))
    await in_thread(IdempotencyRecord.objects.all().delete)
    await in_thread(Item.objects.filter(id=item.id).update, reply_to=GONE)
    redis_client().sadd(key, item.id.hex)
    return item


async def asked(secret: str, **headers: str) -> Any:
    """A call that is asked and answered."""
    call = asyncio.create_task(post(secret, GOOD, **headers))
    await end(await next_item())
    return await call


async def until_taken_over(item: Item) -> None:
    await until(lambda: Item.objects.get(id=item.id).reply_to != GONE)


async def until_unheard(count: int) -> None:
    await until(lambda: sum(map(redis_client().scard, redis_client().scan_iter(KEYS))) == count)


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
    await in_thread(Item.objects.filter(id=item.id).update, reply_to=GONE)
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
    await in_thread(redis_client().sadd, key, item.id.hex)


async def forge_garbage(_: Item, key: str) -> None:
    await in_thread(redis_client().sadd, key, "x" * 32, "", "\x00", "é" * 40)


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
