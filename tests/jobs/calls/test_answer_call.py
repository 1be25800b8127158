"""A single call waits for its item and tells what became of it."""

import asyncio
import sys
import threading
from typing import Any
from uuid import uuid4

import pytest

from apps.accounts.domain.keys import Scope
from apps.jobs.actions import submit_call as submitting
from apps.jobs.actions.await_item import ReplyHub
from apps.jobs.actions.call_threads import in_thread
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import Item, Job
from apps.lib.redis_client import open_async_redis
from apps.traces.queries import read_bodies
from tests.jobs.calls.callers import (
    ANSWER,
    CHAT,
    GOOD,
    begin,
    end,
    make_callable,
    make_secret,
    next_item,
    post,
    until_cancelled,
    until_heard,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def secret() -> str:
    make_callable()
    return make_secret()


async def answered(secret: str, body: object = GOOD, *, publish: bool = True, ending: dict[str, Any] | None = None, **headers: str) -> Any:
    """One call, and a pump that ends its item."""
    call = asyncio.create_task(post(secret, body, **headers))
    await end(await next_item(), publish=publish, **(ending or {}))
    return await call


async def test_the_providers_answer_goes_out_as_it_came(secret: str) -> None:
    answer = await answered(secret)
    item = await in_thread(Item.objects.get)
    assert (answer.status_code, answer.content) == (200, ANSWER)
    assert answer["Content-Type"] == "application/json"
    assert answer["X-Item-Id"] == item.public_id
    assert answer["x-request-id"]
    assert int(answer["openai-processing-ms"]) >= 0
    # Nothing was charged here: nobody served it.
    assert "X-Served-By" not in answer


async def test_the_item_is_urgent_and_knows_who_asked_and_what_for(secret: str) -> None:
    body = GOOD | {"user": "u1"}
    await answered(secret, body, X_Feature="search", **{"X_Max-Cost-USD": "0.5"})
    item, job = await in_thread(Item.objects.get), await in_thread(Job.objects.get)
    assert (job.kind, job.lane, job.endpoint, job.total, str(job.max_cost_usd), job.on_budget) == (
        "single", "interactive", CHAT, 1, "0.500000000000", "fail",
    )  # fmt: skip
    assert (item.lane, item.end_user, item.feature, item.workspace_id) == ("interactive", "u1", "search", job.workspace_id)
    assert (job.end_user, job.feature, job.api_key_id is not None) == ("u1", "search", True)
    stored = await in_thread(read_bodies, [bytes(item.request_body_id)])
    assert b'"user": "u1"' in stored[bytes(item.request_body_id)]


async def test_an_end_that_nobody_announced_is_found_by_looking(secret: str) -> None:
    answer = await answered(secret, publish=False)
    assert (answer.status_code, answer.content) == (200, ANSWER)


async def test_garbage_on_the_channel_of_answers_makes_nobody_deaf(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.jobs.actions.await_item._POLL_SECONDS", 3600)
    hub, item_id = ReplyHub(), uuid4()
    with hub.expect(item_id) as told:
        async with open_async_redis() as client:
            await until_heard(hub.channel)
            for said in ("x", "", b"\xff", item_id.hex):
                await client.publish(hub.channel, said)
        await asyncio.wait_for(told, 30)
    for task in hub._tasks:
        task.cancel()


async def test_many_callers_get_each_their_own_answer(secret: str) -> None:
    async def one(number: int) -> tuple[int, bytes]:
        answer = await post(secret, {"model": "small", "messages": [{"role": "user", "content": str(number)}]})
        return number, answer.content

    async def pump() -> None:
        for _ in range(40):
            item = await next_item()
            asked = await in_thread(read_bodies, [bytes(item.request_body_id)])
            await end(item, answer=asked[bytes(item.request_body_id)])

    *found, _ = await asyncio.gather(*(one(number) for number in range(40)), pump())
    assert all(f'"content": "{number}"'.encode() in content for number, content in found)


async def test_a_rejection_is_passed_on_and_a_failure_is_put_into_words(secret: str) -> None:
    body = b'{"error": {"message": "too long", "type": "invalid_request_error", "param": null, "code": "too_long"}}'
    rejected = await answered(secret, ending={"answer": body, "state": ItemState.DEAD, "outcome": "rejected", "status_code": 400})
    assert (rejected.status_code, rejected.content) == (400, body)
    failed = await answered(
        secret,
        ending={"answer": None, "state": ItemState.DEAD, "outcome": "failed_upstream", "error_code": "http_500", "error_message": "Boom."},
    )
    assert failed.status_code == 502
    assert failed.json() == {"error": {"message": "Boom.", "type": "server_error", "param": None, "code": "http_500"}}
    assert failed["x-should-retry"] == "false"
    assert failed["X-Item-Id"].startswith("item_")


async def test_an_unsent_call_is_cancelled_when_its_caller_goes(secret: str) -> None:
    call = asyncio.create_task(post(secret, GOOD))
    await next_item()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until_cancelled()
    job = await in_thread(Job.objects.get)
    assert (job.status, job.ended_at is not None) == (JobStatus.CANCELLED, True)


async def test_a_sent_call_is_left_to_its_pump_when_its_caller_goes(secret: str) -> None:
    call = asyncio.create_task(post(secret, GOOD))
    item = await next_item()
    await in_thread(begin, item.id)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    # All threads are free again, so what was left to them is done.
    await asyncio.gather(*(in_thread(item.refresh_from_db) for _ in range(16)))
    assert item.state == ItemState.RUNNING
    assert (await in_thread(Job.objects.get)).status == JobStatus.RUNNING


async def test_a_caller_who_goes_while_submitting_leaves_nothing_waiting(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, gone = threading.Event(), threading.Event()

    def submit_slowly(**values: Any) -> float:
        begun.set()
        gone.wait()
        return submitting.submit_call(**values)

    # By the module's name: the package's attribute of that name is the verb itself.
    monkeypatch.setattr(sys.modules["apps.jobs.actions.call_submission"], "submit_call", submit_slowly)
    call = asyncio.create_task(post(secret, GOOD))
    await asyncio.to_thread(begun.wait)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    gone.set()
    await until_cancelled()


async def test_a_call_that_no_worker_takes_is_given_up_unsent(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submitting, "GRACE_SECONDS", -60.0)
    answer = await post(secret, GOOD)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "not_sent_in_time")
    assert (await in_thread(Item.objects.get)).state == ItemState.CANCELLED


async def test_a_call_that_takes_too_long_is_answered_with_its_id(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def submit_and_send(**values: Any) -> float:
        until = submitting.submit_call(**values)
        begin(Item.objects.get().id)
        return until

    # Waited for a second, and sent at once however busy the machine is.
    monkeypatch.setattr(submitting, "GRACE_SECONDS", -59.0)
    monkeypatch.setattr(sys.modules["apps.jobs.actions.call_submission"], "submit_call", submit_and_send)
    answer = await post(secret, GOOD)
    item = await in_thread(Item.objects.get)
    assert (answer.status_code, answer.json()["error"]["code"], answer["X-Item-Id"]) == (504, "timeout", item.public_id)
    assert answer["x-should-retry"] == "false"


async def test_refused_calls_store_nothing(secret: str) -> None:
    make_weak = in_thread(make_secret, "acme", Scope.FILES)
    refusals = [
        (await post("", GOOD), 401, "invalid_api_key"),
        (await post(await make_weak, GOOD), 403, "missing_scope"),
        (await post(secret, b"{"), 400, "invalid_json"),
        (await post(secret, GOOD | {"model": "nobody"}), 404, "model_not_found"),
        (await post(secret, GOOD | {"stream": "yes"}), 400, "invalid_type"),
        (await post(secret, {"model": "small", "input": "a", "stream": True}, "/v1/responses"), 400, "unsupported_value"),
        (await post(secret, GOOD, X_Feature="f" * 65), 400, "invalid_value"),
    ]
    for answer, status, code in refusals:
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        assert answer["x-request-id"]
    assert not await in_thread(Job.objects.exists)


async def test_a_model_whose_targets_are_off_is_not_there(secret: str) -> None:
    def switch_off() -> None:
        make_callable().targets.update(is_enabled=False)

    await in_thread(switch_off)
    assert (await post(secret, GOOD)).status_code == 404


async def test_a_body_that_is_too_long_is_refused(secret: str, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    answer = await post(secret, GOOD | {"user": "u" * 2000})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")
