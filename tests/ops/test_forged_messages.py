"""Whoever can write to the broker can ring, and nothing else: forged messages run nothing, change no row and end no worker."""

import base64
import json
import pickle
import uuid
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
from celery import current_app
from django.db import connection, transaction

from apps.jobs.domain.chunk import stream_key
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import Item, Job
from apps.lib.enqueue import enqueue
from apps.lib.redis_client import redis_client
from apps.ops.queries.health import CANARY_KEY
from tests.chaos.tables import note
from tests.chaos.test_pumps import assert_each_ended_once, submit
from tests.chaos.workers import run_out, until, worker
from tests.jobs.rows import make_job
from tests.simulated import Simulator

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]

# A pool of processes, and one of threads: each takes messages in its own way.
QUEUES = ("default", "control")
UNKNOWN = str(uuid.UUID(int=7))
TEN_MEGABYTES = 10_000_000
# What a ring that is well made may leave: a pump looked for work.
RING_TABLES = {"jobs_pump", "django_celery_results_taskresult"}


class Forger:
    """Messages like ours, with one thing that is not."""

    def __init__(self, evidence: Path, dead_item: str) -> None:
        client = redis_client()
        client.delete(*QUEUES)
        enqueue("jobs.close_job", queue="control", job_id=UNKNOWN)
        self.good = json.loads(client.lindex("control", 0) or "")
        client.delete(*QUEUES)
        self.evidence = evidence
        self.dead_item = dead_item

    def message(self, *, body: Any = None, headers: Any = None, leave_out: str = "", envelope: Any = None) -> bytes:
        forged = self.good | {"headers": self.good["headers"] | {"id": str(uuid.uuid4())} | dict(headers or {})}
        if body is not None:
            forged["body"] = base64.b64encode(body if isinstance(body, bytes) else json.dumps(body).encode()).decode()
        for holder in (forged, forged["headers"]):
            holder.pop(leave_out, None)
        return json.dumps(forged | dict(envelope or {})).encode()

    def call(self, task: str, arguments: Any, *, positional: Any = (), embedded: Any = None) -> bytes:
        return self.message(headers={"task": task}, body=[positional, arguments, embedded or {}])

    def all(self) -> Iterator[tuple[str, bytes]]:
        yield from self.not_even_messages()
        yield from self.envelopes()
        yield from self.other_languages()
        yield from self.headers()
        yield from self.bodies()
        yield from self.arguments()
        yield from self.tasks_of_celery()

    def not_even_messages(self) -> Iterator[tuple[str, bytes]]:
        for raw in (b"", b"no json", b"null", b"[]", b"{}", b'"text"', b"12", b"\xff\xfe\x00", b"9" * 5000, b"[1, 2, 3]"):
            yield f"raw {raw[:10]!r}", raw
        yield "too deep", b"[" * 100_000
        yield "an object too deep", b'{"headers":' * 50_000
        for kind in ("nothing", "datetime", "uuid", "decimal", "base64"):
            yield f"typed {kind}", json.dumps({"headers": {"__type__": kind, "__value__": {"x": 1}}}).encode()

    def envelopes(self) -> Iterator[tuple[str, bytes]]:
        for name in ("properties", "headers", "content-type", "content-encoding"):
            yield f"without {name}", self.message(leave_out=name)
        for name in ("properties", "headers", "body", "content-type", "content-encoding"):
            for value in (None, 1, "x", [1], {"a": 1}):
                yield f"{name} = {value!r}", self.message(envelope={name: value})
        properties = self.good["properties"]
        for name in ("delivery_tag", "delivery_info", "body_encoding"):
            for other in (None, 7, "x" * 300, ["x"], {"exchange": 1, "routing_key": 2}):
                yield f"{name} = {str(other)[:20]}", self.message(envelope={"properties": properties | {name: other}})
        yield "10 MB of body", self.message(body=[[], {"job_id": "x" * TEN_MEGABYTES}, {}])
        yield "10 MB of headers", self.message(headers={"task": "x" * TEN_MEGABYTES})
        yield "10 MB of nothing", b"x" * TEN_MEGABYTES
        yield "compressed", self.message(headers={"compression": "application/x-gzip"})

    def other_languages(self) -> Iterator[tuple[str, bytes]]:
        command = f"touch {self.evidence}"
        yaml = f"!!python/object/apply:os.system ['{command}']".encode()
        pickled = pickle.dumps(_Touch(command))
        for kind, content in (("x-python-serialize", pickled), ("x-yaml", yaml), ("x-msgpack", b"\x80"), ("data", b"x")):
            for encoding in ("binary", "utf-8"):
                said = {"content-type": f"application/{kind}", "content-encoding": encoding}
                yield f"{kind} {encoding}", self.message(body=content, envelope=said)
        yield "pickle that is called JSON", self.message(body=pickled)

    def headers(self) -> Iterator[tuple[str, bytes]]:
        for task in ("os.system", "", None, 7, ["jobs.sweep"], {"a": 1}, "x" * 5000):
            yield f"task {str(task)[:20]}", self.message(headers={"task": task})
        yield "without a task", self.message(leave_out="task")
        yield "without an id", self.message(leave_out="id")
        wrong: dict[str, tuple[Any, ...]] = {
            "id": (None, 7, "", "x" * 5000, "a\0b", ["x"]),
            "retries": ("many", -1, 10**9, 1.5, None, [1]),
            "eta": ("soon", 7, "2999-01-01T00:00:00+00:00", {"a": 1}),
            "expires": ("never", [1]),
            "group": ("one",),
            "stamped_headers": (["a"],),
            "kwargsrepr": (7, {"a": 1}, "x" * 10_000),
            "parent_id": ({"a": 1},),
        }
        for name, values in wrong.items():
            for value in values:
                yield f"{name} = {str(value)[:20]}", self.message(headers={name: value})

    def bodies(self) -> Iterator[tuple[str, bytes]]:
        for body in ({}, [], [1], [[], {}], [[], [], {}], [[], {"job_id": UNKNOWN}, []], "text", 7, b"", b"no json", b"\xff"):
            yield f"body {str(body)[:30]}", self.message(body=body)
        signature = {"task": "jobs.sweep", "args": [], "kwargs": {}, "options": {}, "subtask_type": None, "immutable": False}
        for name in ("callbacks", "errbacks", "chain", "chord"):
            yield f"brings {name}", self.call("jobs.close_job", {"job_id": UNKNOWN}, embedded={name: [signature]})
        old = {"task": "jobs.sweep", "id": str(uuid.uuid4()), "args": [], "kwargs": {}}
        yield "Celery's older protocol", self.message(body=old, headers={}, leave_out="task")
        yield "both protocols", self.message(body=old)

    def arguments(self) -> Iterator[tuple[str, bytes]]:
        for value in (None, 7, "", "x", "x" * 50_000, "a\0", "../..", {"a": 1}, [UNKNOWN], "' OR 1=1 --", UNKNOWN + "\n"):
            for task in ("jobs.close_job", "jobs.validate_job", "jobs.finish_job"):
                yield f"{task} {str(value)[:20]!r}", self.call(task, {"job_id": value})
        yield "no argument", self.call("jobs.close_job", {})
        yield "one too many", self.call("jobs.close_job", {"job_id": UNKNOWN, "self": 1})
        yield "without a name", self.call("jobs.close_job", {}, positional=[UNKNOWN])
        for arguments in (
            {"lane": "none"},
            {"lane": ["default"]},
            {"lane": "default", "is_isolating": "x"},
            {"lane": "bulk", "replaces": 1},
        ):
            yield f"jobs.run_items {arguments}", self.call("jobs.run_items", arguments)
        yield "no queue of ours", self.call("ops.land_canary", {"on_queue": "x" * 1000})
        yield "a dead item", self.call("jobs.requeue_dead_item", {"item_id": self.dead_item})

    def tasks_of_celery(self) -> Iterator[tuple[str, bytes]]:
        inner = {"task": "jobs.sweep", "args": [], "kwargs": {}, "options": {}, "subtask_type": None}
        for name, arguments in {
            "chord_unlock": {"group_id": "x", "callback": inner},
            "accumulate": {},
            "backend_cleanup": {},
            "chain": {},
            "group": {"tasks": [inner], "result": [], "group_id": "x", "partial_args": []},
            "chord": {"header": [inner], "body": inner},
            "map": {"task": inner, "it": [[]]},
            "starmap": {"task": inner, "it": [[]]},
            "chunks": {"task": inner, "it": [[]], "n": 1},
        }.items():
            yield f"celery.{name}", self.call(f"celery.{name}", arguments)

    def rings(self, job: Job) -> Iterator[tuple[str, bytes]]:
        """Well made, for what isn't there or has nothing to do; each twice, under the same id."""
        for task in ("jobs.close_job", "jobs.validate_job", "jobs.finish_job"):
            for job_id in (UNKNOWN, str(job.id)):
                message = self.call(task, {"job_id": job_id})
                yield from ((f"{task} of {job_id}", message), (f"{task} of {job_id} again", message))
        yield "jobs.release_held", self.call("jobs.release_held", {"budget_id": UNKNOWN})
        yield "jobs.run_items", self.call("jobs.run_items", {"lane": "default", "job_id": UNKNOWN, "replaces": UNKNOWN})


class _Touch:
    """What pickle runs when it is read."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return __import__("os").system, (self.command,)


def forge_pieces(item: Item) -> None:
    """Of an answer that nobody gave, whole: workers read none of them. What readers make of such is in test_item_events.py."""
    client = redis_client()
    client.xadd(
        stream_key(item.id), {"d": '{"choices": [{"delta": {"content": "forged"}, "finish_reason": "stop"}]}'}, id="9999999999999-1"
    )
    client.xadd(stream_key(item.id), {"d": ""}, id="9999999999999-2")
    client.publish(item.reply_to or "aiplatform:reply:x", item.id.hex)


def tables(*, leave_out: Collection[str] = ()) -> dict[str, str]:
    """A digest of each table's rows."""
    with connection.cursor() as cursor:
        names = [name for name in connection.introspection.table_names(cursor) if name not in leave_out]
        found = {}
        for name in names:
            cursor.execute(f"SELECT coalesce(md5(string_agg(row::text, chr(10) ORDER BY row::text)), '') FROM \"{name}\" AS row")
            found[name] = cursor.fetchone()[0]
    return found


def heard(queue: str) -> None:
    """Everything before it has been taken once a canary has landed."""
    client = redis_client()
    client.delete(CANARY_KEY.format(queue=queue))
    with transaction.atomic():
        enqueue("ops.land_canary", queue=queue, on_queue=queue)
    until(lambda: bool(client.exists(CANARY_KEY.format(queue=queue))), f"a canary landed in {queue}", pause=0.01)


def make_dead_item() -> tuple[Job, str]:
    job = make_job(prompts=("a",), status=JobStatus.COMPLETED)
    item = Item.objects.get(job=job)
    Item.objects.filter(id=item.id).update(state=ItemState.DEAD, outcome="rejected", fingerprint="f" * 16)
    return job, item.public_id


def test_forged_messages_run_nothing_change_no_row_and_end_no_worker(tmp_path: Path, simulator: Simulator) -> None:
    job, dead_item = make_dead_item()
    evidence = tmp_path / "somebody was here"
    forger = Forger(evidence, dead_item)
    client = redis_client()
    with ExitStack() as stack:
        workers = {queue: stack.enter_context(worker(name)) for queue, name in zip(QUEUES, ("exec", "control"), strict=True)}
        families = {queue: family(process) for queue, process in workers.items()}
        for queue in QUEUES:
            heard(queue)
        before = tables()
        forged = list(forger.all())
        for name, message in forged:
            for queue in QUEUES:
                client.lpush(queue, message)
                heard(queue)
                assert family(workers[queue]) == families[queue], f"{name} ended a process"
        until(lambda: client.hlen("unacked") == 0, "nothing is left to acknowledge")
        assert tables() == before
        assert not evidence.exists()
        before = tables(leave_out=RING_TABLES)
        for _, message in forger.rings(job):
            for queue in QUEUES:
                client.lpush(queue, message)
                heard(queue)
        until(lambda: client.hlen("unacked") == 0, "all rings were heeded")
        forge_pieces(Item.objects.get(job=job))
        assert tables(leave_out=RING_TABLES) == before
        real = submit(simulator, 20, script="")
        run_out(real)
        assert {queue: family(process) for queue, process in workers.items()} == families
    assert_each_ended_once(real, 20)
    assert simulator.calls()["total"] == 20
    note("Forged messages", ("queues", "messages", "effects", "workers lost"), (" ".join(QUEUES), len(forged) * 2, 0, 0))


def family(process: psutil.Process) -> set[int]:
    """The worker and its children; pumps come and go in them, not as them."""
    assert process.is_running()
    return {process.pid, *(child.pid for child in process.children(recursive=True))}


def test_broadcasts_tell_of_a_worker_and_ask_nothing_of_it() -> None:
    client = redis_client()
    with worker("control") as process:
        heard("control")
        before = family(process)
        node = current_app.control.ping(timeout=10)
        assert len(node) == 1
        control = current_app.control
        control.broadcast("shutdown")
        control.broadcast("add_consumer", arguments={"queue": "dead_letter"})
        control.broadcast("cancel_consumer", arguments={"queue": "control"})
        control.broadcast("revoke", arguments={"task_id": UNKNOWN, "terminate": True})
        control.broadcast("hello", arguments={"from_node": "x", "revoked": {UNKNOWN: 1}})
        control.broadcast("pool_shrink", arguments={"n": 4})
        for raw in (b"", b"no json", b"{}", b"[]", b'{"properties": {}}', b"[" * 100_000):
            client.publish("/0.celery.pidbox", raw)
        heard("control")
        assert control.ping(timeout=10) == node
        assert family(process) == before
        (queues,) = control.inspect(timeout=60, limit=1).active_queues().values()
        assert [queue["name"] for queue in queues] == ["control"]
        (revoked,) = control.inspect(timeout=60, limit=1).revoked().values()
        assert revoked == []
