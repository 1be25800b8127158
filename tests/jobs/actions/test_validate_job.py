"""Validation: every wrong line is named, nothing wrong leaves anything behind, and good lines become waiting items in order."""

import gzip
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import psycopg
import pytest
from django.core.files.storage import default_storage
from django.db import connection
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from apps.files.models import File
from apps.jobs.actions import load_items, validate_job
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.models import Item, Job
from apps.lib.ids import uuid7
from apps.traces.queries import read_bodies
from tests.jobs.batches import CHAT, NOW, clock, input_line, jsonl, make_input_file, make_model, submit, validated
from tests.jobs.rows import make_job, make_workspace

pytestmark = pytest.mark.django_db


def errors_of(content: bytes) -> list[dict[str, Any]]:
    job = validated(content)
    assert (job.status, job.ended_at, job.total) == (JobStatus.FAILED, NOW, 0)
    assert not Item.objects.exists()
    errors: list[dict[str, Any]] = job.errors
    return errors


def test_validate_job_makes_waiting_items_in_the_order_of_the_lines(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with django_capture_on_commit_callbacks(execute=True) as rings:
        job = validated(jsonl(input_line(f"line {n}") for n in range(1, 6)), metadata={"feature": "f", "priority": "bulk"})
    assert (job.status, job.total, job.started_at, job.errors, job.model_name) == (JobStatus.RUNNING, 5, NOW, None, "small")
    items = list(Item.objects.order_by("id"))
    assert [(item.position, item.custom_id, item.state, item.lane, item.feature) for item in items] == [
        (n, f"line {n}", "waiting", "bulk", "f") for n in range(1, 6)
    ]
    assert {item.model_id for item in items} == {make_model().id}
    body = read_bodies([bytes(items[2].request_body_id)])[bytes(items[2].request_body_id)]
    assert body == b'{"model": "small", "messages": [{"role": "user", "content": "line 3"}]}'
    assert "jobs.run_items" in [getattr(ring, "args", [None])[0] for ring in rings]


def test_validate_job_keeps_line_numbers_over_blank_lines() -> None:
    content = b"\xef\xbb\xbf" + jsonl([input_line("a")]) + b"\r\n\n" + jsonl([input_line("b")]).replace(b"\n", b"\r\n") + b"  \n"
    assert validated(content).total == 2
    assert list(Item.objects.order_by("id").values_list("position", "custom_id")) == [(1, "a"), (4, "b")]


def test_validate_job_takes_a_last_line_without_an_end() -> None:
    assert validated(jsonl([input_line("a"), input_line("b")]).rstrip(b"\n")).total == 2


def test_validate_job_loads_more_lines_than_fit_in_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_items, "_CHUNK_LINES", 3)
    assert validated(jsonl(input_line(f"{n}") for n in range(10))).total == 10
    assert [item.custom_id for item in Item.objects.order_by("id")] == [str(n) for n in range(10)]


def test_validate_job_takes_lines_for_different_models() -> None:
    other = make_model("other")
    job = validated(jsonl([input_line("a"), input_line("b", body={"model": "other"})]))
    assert (job.total, job.model_name) == (2, "")
    assert list(Item.objects.order_by("id").values_list("model_id", flat=True)) == [make_model().id, other.id]


def test_validate_job_names_every_wrong_line() -> None:
    lines = [input_line("a"), input_line("b", method="GET"), input_line("a"), input_line("c", body={"model": "nope"}), input_line("a")]
    errors = errors_of(jsonl(lines) + b"{oops\n")
    assert [(error["line"], error["code"], error["param"]) for error in errors] == [
        (2, "invalid_method", "method"),
        (3, "duplicate_custom_id", "custom_id"),
        (4, "model_not_found", "body.model"),
        (5, "duplicate_custom_id", "custom_id"),
        (6, "invalid_json_line", None),
    ]
    assert "line 3" in errors[1]["message"]
    assert "line 1" in errors[1]["message"]


def test_validate_job_takes_composed_and_decomposed_accents_for_one_id() -> None:
    errors = errors_of(jsonl([input_line("caf\u00e9"), input_line("x"), input_line("cafe\u0301")]))
    assert [(error["line"], error["code"]) for error in errors] == [(3, "duplicate_custom_id")]


def test_validate_job_lists_a_thousand_errors_and_counts_the_rest() -> None:
    errors = errors_of(b"x\n" * 1005)
    assert len(errors) == 1001
    assert errors[-1]["code"] == "too_many_errors"
    assert "1,005" in errors[-1]["message"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"\n\r\n  \n", "empty_file"),
        (b"\xef\xbb\xbf", "empty_file"),
        (gzip.compress(b"{}"), "invalid_file"),
        (jsonl([input_line("a")]).decode().encode("utf-16"), "invalid_file"),
    ],
)
def test_validate_job_refuses_a_file_without_requests_in_one_error(content: bytes, code: str) -> None:
    assert [(error["code"], error["line"]) for error in errors_of(content)] == [(code, None)]


def test_validate_job_refuses_a_long_line_and_reads_on(settings: Settings) -> None:
    settings.MAX_LINE_BYTES = 200
    exact = jsonl([input_line("a", body={"model": "small", "x": ""})])[:-1]
    exact = exact.replace(b'"x": ""', b'"x": "' + b"y" * (200 - len(exact)) + b'"')
    assert len(exact) == 200
    assert validated(exact + b"\r\n").status == JobStatus.RUNNING
    Job.objects.all().delete()
    errors = errors_of(exact.replace(b"y", b"yy", 1) + b"\n" + b"z" * 5000 + b"\nx\n")
    assert [(error["line"], error["code"]) for error in errors] == [(1, "line_too_large"), (2, "line_too_large"), (3, "invalid_json_line")]


def test_validate_job_refuses_more_lines_than_a_batch_takes(settings: Settings) -> None:
    settings.MAX_LINES = 2
    assert validated(jsonl([input_line("a"), input_line("b")])).total == 2
    Job.objects.all().delete()
    assert [error["code"] for error in errors_of(jsonl(input_line(f"{n}") for n in range(3)))] == ["too_many_tasks"]


def test_validate_job_does_not_read_blank_lines_for_ever(settings: Settings) -> None:
    settings.MAX_LINES = 3
    assert validated(b"\n".join(jsonl([input_line(f"{n}")]) for n in range(3))).total == 3
    Job.objects.all().delete()
    (error,) = errors_of(jsonl([input_line("a")]) + b"\n" * 50)
    assert (error["code"], error["line"]) == ("too_many_tasks", None)
    assert "more than 6 lines" in error["message"]


def test_validate_job_of_a_deleted_file_says_so() -> None:
    job = submit(jsonl([input_line("a")]))
    file = File.objects.get(id=job.input_file_id)
    default_storage.delete(file.storage_key)
    File.objects.update(deleted_at=NOW)
    validate_job(job_id=job.id, clock=clock)
    job.refresh_from_db()
    assert job.status == JobStatus.FAILED
    assert [error["param"] for error in job.errors] == ["input_file_id"]


def test_validate_job_starts_clean_after_a_killed_run() -> None:
    job = submit(jsonl([input_line("a"), input_line("b")]))
    killed = make_job(prompts=["left", "over"])
    Item.objects.filter(job=killed).update(job=job)
    validate_job(job_id=job.id, clock=clock)
    assert sorted(Item.objects.filter(job=job).values_list("custom_id", flat=True)) == ["a", "b"]


def test_validate_job_again_changes_nothing() -> None:
    job = validated(jsonl([input_line("a")]))
    before = list(Item.objects.values_list("id", flat=True))
    validate_job(job_id=job.id, clock=clock)
    validate_job(job_id=uuid7(), clock=clock)
    assert list(Item.objects.values_list("id", flat=True)) == before


def test_validate_job_leaves_a_job_to_the_worker_that_has_it() -> None:
    job = submit(jsonl([input_line("a")]))
    info = connection.get_connection_params()
    with psycopg.connect(**{key: info[key] for key in ("dbname", "user", "password", "host", "port") if info.get(key)}) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [job.id.int & ((1 << 63) - 1)])
        validate_job(job_id=job.id, clock=clock)
        job.refresh_from_db()
        assert job.status == JobStatus.VALIDATING
        other.execute("SELECT pg_advisory_unlock_all()")
    validate_job(job_id=job.id, clock=clock)
    job.refresh_from_db()
    assert job.status == JobStatus.RUNNING


def test_validate_job_cancelled_between_two_chunks_stops_and_rings_for_the_end(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    monkeypatch.setattr(load_items, "_CHUNK_LINES", 1)
    chunks = load_items._read_ahead

    def cancel_after_two(*arguments: Any) -> Iterator[Any]:
        for number, chunk in enumerate(chunks(*arguments)):
            if number == 2:
                Job.objects.update(status=JobStatus.CANCELLING)
            yield chunk

    monkeypatch.setattr(load_items, "_read_ahead", cancel_after_two)
    with django_capture_on_commit_callbacks() as rings:
        job = validated(jsonl(input_line(f"{n}") for n in range(5)))
    assert (job.status, job.total, Item.objects.count()) == (JobStatus.CANCELLING, 0, 0)
    assert [getattr(ring, "args", [None])[0] for ring in rings] == ["jobs.validate_job", "jobs.finish_job"]


def test_validate_job_cancelled_at_the_last_moment_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_then_cancel(job: Job, specs: Any, **more: Any) -> int:
        total = load_items.load_items(job, specs, **more)
        Job.objects.update(status=JobStatus.CANCELLING)
        return total

    monkeypatch.setattr(import_module("apps.jobs.actions.validate_job"), "load_items", load_then_cancel)
    job = validated(jsonl([input_line("a")]))
    assert (job.status, Item.objects.count()) == (JobStatus.CANCELLING, 0)


def test_validate_job_stores_a_body_that_stands_twice_once() -> None:
    make_model()
    workspace = make_workspace()
    body = {"model": "small", "messages": []}
    job = validated(jsonl([input_line("a", body=body), input_line("b", body=body)]))
    assert job.total == 2
    assert len(set(map(bytes, Item.objects.values_list("request_body_id", flat=True)))) == 1
    assert make_input_file(b"x", workspace=workspace).purpose == "batch"
    assert job.endpoint == CHAT
