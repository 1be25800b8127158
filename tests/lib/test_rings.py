"""Which messages are rings: ours are, and nothing else is, however it is made."""

import base64
import json
import uuid
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from celery.app.task import Context
from celery.worker.consumer import Consumer
from hypothesis import given
from hypothesis import strategies as st

from aiplatform.celery import app
from aiplatform.consumer import RingConsumer
from apps.lib.redis_client import redis_client
from apps.lib.rings import find_envelope_flaw, find_ring_flaw

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ID = str(uuid.UUID(int=7))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
HEADERS = ("task", "id", "eta", "expires", "retries", "timelimit", "group", "stamped_headers", "shadow", "argsrepr", "origin", "root_id")


@pytest.fixture(autouse=True, scope="module")
def _tasks() -> None:
    app.loader.import_default_modules()


def ring(name: str = "jobs.validate_job", arguments: Any = None, **options: Any) -> tuple[dict[str, Any], Any]:
    """(headers, payload) as Celery writes them."""
    message = app.amqp.as_task_v2(ID, name, args=[], kwargs={"job_id": ID} if arguments is None else arguments, **options)
    return json.loads(json.dumps(message.headers)), json.loads(json.dumps(message.body))


def flaw(headers: Any, payload: Any, queues: tuple[str, ...] = ("ingest",)) -> str:
    return find_ring_flaw(headers, payload, tasks=app.tasks, queues=queues, now=NOW)


def test_what_we_send_is_a_ring() -> None:
    assert flaw(*ring()) == ""
    assert flaw(*ring("jobs.sweep", {}, expires=60)) == ""
    assert flaw(*ring("jobs.run_items", {"lane": "bulk", "job_id": None})) == ""
    assert flaw(*ring("jobs.run_items", {"lane": "bulk", "replaces": ID, "is_isolating": 1})) == ""
    retried = ring(eta=NOW + timedelta(seconds=30), retries=3)
    assert flaw(*retried) == ""


def sent(queue: str) -> tuple[dict[str, Any], Any]:
    """The message that lies in a queue, as a worker gets it."""
    client = redis_client()
    envelope = json.loads(client.lindex(queue, 0) or "")
    client.delete(queue)
    assert find_envelope_flaw(envelope) == ""
    return envelope["headers"], json.loads(base64.b64decode(envelope["body"]))


def test_what_beat_sends_is_a_ring() -> None:
    for entry in app.conf.beat_schedule.values():
        queue = entry["options"]["queue"]
        redis_client().delete(queue)
        app.tasks[entry["task"]].apply_async([], {}, **entry["options"])
        headers, payload = sent(queue)
        assert find_ring_flaw(headers, payload, tasks=app.tasks, queues=(queue,), now=datetime.now(UTC)) == "", entry["task"]


@pytest.mark.parametrize("name", ["jobs.run_items", "jobs.validate_job", "jobs.sweep"])
def test_what_is_sent_once_more_after_a_failure_is_a_ring(name: str) -> None:
    """By a task that failed, and by a worker whose child was killed: both send it so."""
    arguments = {"jobs.run_items": {"lane": "bulk"}, "jobs.validate_job": {"job_id": ID}}.get(name, {})
    redis_client().delete("bulk")
    app.tasks[name].apply_async([], arguments, queue="bulk")
    first, _ = sent("bulk")
    task = app.tasks[name]
    request = Context(
        first | {"args": [], "kwargs": arguments, "delivery_info": {"exchange": "", "routing_key": "bulk"}}, called_directly=False
    )
    for retries in (1, 2, 3):
        task.signature_from_request(request, [], arguments, countdown=30, retries=retries).apply_async(queue="bulk")
        headers, payload = sent("bulk")
        assert headers["retries"] == retries
        assert find_ring_flaw(headers, payload, tasks=app.tasks, queues=("bulk",), now=datetime.now(UTC)) == ""


@pytest.mark.parametrize("limits", [None, [None, None], [1, 1], [300], "x", {"a": 1}, 7])
def test_the_limits_of_the_taker_hold_whatever_the_sender_thinks(limits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its settings may differ, or it is of another release: then its rings are heard all the same."""
    taken: list[Any] = []
    monkeypatch.setattr(Consumer, "create_task_handler", lambda _: taken.append)
    consumer = object.__new__(RingConsumer)
    consumer.app, consumer.connection_errors = app, ()
    headers, payload = ring()
    consumer.create_task_handler()(SimpleNamespace(headers=headers | {"timelimit": limits}, payload=payload))
    assert [message.headers["timelimit"] for message in taken] == [None]


@pytest.mark.parametrize(
    "arguments",
    [{}, {"job_id": ID, "more": 1}, {"job_id": 1}, {"job_id": None}, {"job_id": "x"}, {"job_id": ID + "0"}, {"job_id": [ID]}, [ID], ID],
)
def test_arguments_are_those_of_the_task(arguments: Any) -> None:
    headers, payload = ring()
    assert flaw(headers, [[], arguments, payload[2]])


def test_a_dead_item_runs_again_from_its_own_queue_alone() -> None:
    forged = ring("jobs.requeue_dead_item", {"item_id": "item_1"})
    assert flaw(*forged, ("default", "bulk"))
    assert flaw(*forged, ("dead_letter",)) == ""


@given(st.sampled_from(HEADERS), JSON)
def test_no_header_raises(name: str, value: Any) -> None:
    headers, payload = ring()
    assert isinstance(flaw(headers | {name: value}, payload), str)


@given(JSON)
def test_no_payload_is_a_ring_by_chance(payload: Any) -> None:
    headers, good = ring()
    assert flaw(headers, payload)
    assert flaw(headers, [[], {"job_id": payload}, good[2]])


@given(JSON, st.sampled_from(["headers", "properties", "body", "content-type", "content-encoding"]))
def test_no_envelope_raises(value: Any, name: str) -> None:
    delivery = {"delivery_tag": ID, "delivery_info": {"exchange": "", "routing_key": "default"}, "body_encoding": "base64"}
    good = {"headers": {}, "properties": delivery, "body": "W10=", "content-type": "application/json", "content-encoding": "utf-8"}
    assert find_envelope_flaw(good) == ""
    assert isinstance(find_envelope_flaw(good | {name: value}), str)
    assert isinstance(find_envelope_flaw(value), str)
