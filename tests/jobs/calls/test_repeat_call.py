"""A single call that is sent twice: one item, one answer, one payment."""

import asyncio
from typing import Any

import pytest

from apps.jobs.actions.call_threads import in_thread
from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.models import Item
from apps.traces.models import Body
from tests.jobs.calls.callers import (
    ANSWER,
    GOOD,
    begin,
    end,
    leave,
    make_callable,
    make_secret,
    next_item,
    post,
    until_all_is_done,
    until_cancelled,
)

pytestmark = pytest.mark.django_db(transaction=True)

KEYED = {"Idempotency-Key": "call-1"}
FIRST, AGAIN = {"x-stainless-retry-count": "0"}, {"x-stainless-retry-count": "1"}


@pytest.fixture
def secret() -> str:
    make_callable()
    return make_secret()


async def answered(secret: str, body: object = GOOD, *, ending: dict[str, Any] | None = None, **headers: str) -> Any:
    call = asyncio.create_task(post(secret, body, **headers))
    await end(await next_item(), **(ending or {}))
    return await call


async def test_an_answered_call_is_replayed_by_its_key(secret: str) -> None:
    first = await answered(secret, **KEYED)
    again = await post(secret, GOOD, **KEYED)
    assert (again.status_code, again.content, again["Idempotency-Replayed"]) == (200, ANSWER, "true")
    assert again["X-Item-Id"] == first["X-Item-Id"]
    assert "Idempotency-Replayed" not in first
    assert await in_thread(Item.objects.count) == 1


@pytest.mark.parametrize("forgotten", ["answer", "item"])
async def test_a_call_whose_answer_was_forgotten_is_not_paid_for_again(secret: str, forgotten: str) -> None:
    """A workspace may keep answers for less than the seven days of a key."""
    await answered(secret, **KEYED)
    await in_thread((Body if forgotten == "answer" else Item).objects.all().delete)
    again = await post(secret, GOOD, **KEYED)
    assert (again.status_code, again.json()["error"]["code"], again["x-should-retry"]) == (409, "answer_expired", "false")
    assert not await in_thread(Item.objects.filter(state=ItemState.WAITING).exists)


async def test_a_call_under_way_is_joined_and_goes_on_when_one_of_its_callers_goes(secret: str) -> None:
    first = asyncio.create_task(post(secret, GOOD, **KEYED))
    item = await next_item()
    await in_thread(begin, item.id)
    joined = [asyncio.create_task(post(secret, GOOD, **KEYED)) for _ in range(3)]
    await until_all_is_done()
    await leave(joined.pop())
    await end(item)
    answers = await asyncio.gather(first, *joined)
    assert [answer.content for answer in answers] == [ANSWER] * 3
    assert await in_thread(Item.objects.count) == 1


async def test_a_key_with_another_body_is_refused(secret: str) -> None:
    await answered(secret, **KEYED)
    other = await post(secret, GOOD | {"max_tokens": 7}, **KEYED)
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize("key", ["", "a b", "x" * 256])
async def test_a_key_that_is_none_is_refused(secret: str, key: str) -> None:
    answer = await post(secret, GOOD, **{"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "Idempotency-Key")


async def test_a_call_that_was_never_sent_is_made_anew(secret: str) -> None:
    call = asyncio.create_task(post(secret, GOOD, **KEYED))
    await next_item()
    await leave(call)
    await until_cancelled()
    answer = await answered(secret, **KEYED)
    assert (answer.status_code, answer.content) == (200, ANSWER)
    assert await in_thread(Item.objects.count) == 2
    assert (await post(secret, GOOD, **KEYED))["X-Item-Id"] == answer["X-Item-Id"]


async def test_a_call_that_failed_is_made_anew(secret: str) -> None:
    failed = await answered(secret, ending={"answer": None, "state": ItemState.DEAD, "outcome": "failed_upstream"}, **KEYED)
    assert failed.status_code == 502
    assert (await answered(secret, **KEYED)).status_code == 200


async def test_many_at_once_with_one_key_make_one_item(secret: str) -> None:
    calls = [asyncio.create_task(post(secret, GOOD, **KEYED)) for _ in range(30)]
    await end(await next_item())
    answers = await asyncio.gather(*calls)
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert all(answer["Retry-After"] == "1" for answer in answers if answer.status_code == 409)
    assert {answer.content for answer in answers if answer.status_code == 200} == {ANSWER}
    assert await in_thread(Item.objects.count) == 1


async def test_a_retry_of_openais_package_gets_the_answer_that_its_first_try_did_not_wait_for(secret: str) -> None:
    call = asyncio.create_task(post(secret, GOOD, **FIRST))
    item = await next_item()
    await in_thread(begin, item.id)
    await leave(call)
    retried = asyncio.create_task(post(secret, GOOD, **AGAIN))
    await end(item)
    answer = await retried
    assert (answer.content, answer["X-Item-Id"], answer["Idempotency-Replayed"]) == (ANSWER, item.public_id, "true")
    assert await in_thread(Item.objects.count) == 1


async def test_the_same_question_asked_twice_is_two_calls(secret: str) -> None:
    first, second = await answered(secret, **FIRST), await answered(secret, **FIRST)
    assert first["X-Item-Id"] != second["X-Item-Id"]
    # The first try of this one never arrived; nobody left an answer behind.
    assert (await answered(secret, **AGAIN))["X-Item-Id"] not in {first["X-Item-Id"], second["X-Item-Id"]}
