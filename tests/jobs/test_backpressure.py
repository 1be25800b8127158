"""Backpressure at every door: who is refused, how it is told, that accepted work stays, and that it costs a request nothing."""

import asyncio
import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import IdempotencyRecord
from apps.files.models import File, Upload
from apps.jobs.actions import require_room as requiring
from apps.jobs.actions.require_room import require_room
from apps.jobs.domain.lifecycle import ItemState, Lane
from apps.jobs.models import Item, Job
from apps.jobs.queries import read_lanes
from apps.lib.http_errors import ApiError
from apps.lib.redis_client import redis_client
from apps.ops.actions.watch_conditions import watch_conditions
from apps.webhooks.models import Alert
from tests.factories.accounts import make_client, make_office_client, make_workspace
from tests.factories.files import make_file
from tests.factories.jobs import make_job, make_route
from tests.jobs.calls.callers import GOOD, make_callable, make_secret, post

pytestmark = pytest.mark.django_db
LINE = json.dumps({"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": GOOD}).encode() + b"\n"


@pytest.fixture(autouse=True)
def _measured_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requiring, "MEASURED_SECONDS", 0.0)


def make_old(lane: str, seconds: float) -> Job:
    job = make_job(workspace=make_workspace("flooder"), lane=lane, done=0, dead=0, running=0, waiting=1)
    Item.objects.filter(job=job).update(not_before=timezone.now() - timedelta(seconds=seconds))
    return job


def submit(client: Client, lane: str, **headers: str) -> Any:
    body = {
        "input_file_id": make_file(LINE).public_id, "endpoint": "/v1/chat/completions", "completion_window": "24h",
        "metadata": {"priority": lane},
    }  # fmt: skip
    return client.post("/v1/batches", body, content_type="application/json", headers=headers)


def test_bulk_first_then_default_while_urgent_work_is_taken(settings: Any) -> None:
    settings.INTAKE_OLDEST_SECONDS = {"bulk": 100, "default": 200, "interactive": 10}
    client = make_client()
    lanes = ("bulk", "default", "interactive")
    old = make_old("default", 50)
    assert [submit(client, lane).status_code for lane in lanes] == [200, 200, 200]
    Item.objects.filter(job=old).update(not_before=timezone.now() - timedelta(seconds=150))
    assert [submit(client, lane).status_code for lane in lanes] == [503, 200, 200]
    Item.objects.filter(job=old).update(not_before=timezone.now() - timedelta(seconds=250))
    assert [submit(client, lane).status_code for lane in lanes] == [503, 503, 200]
    Item.objects.filter(job=old).update(state=ItemState.DONE)
    assert [submit(client, lane).status_code for lane in lanes] == [200, 200, 200]


def test_the_refusal_says_why_what_to_do_and_when_to_come_back() -> None:
    make_old("bulk", 20 * 3600)
    before = Job.objects.count()
    answer = submit(make_client(), "bulk", **{"Idempotency-Key": "one"})
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["code"], answer.headers["Retry-After"]) == (503, "server_error", "overloaded", "60")
    assert "the oldest item of the lane bulk has waited for 72,0" in error["message"]
    assert "What was accepted is safe" in error["message"]
    assert "x-should-retry" not in answer.headers
    assert Job.objects.count() == before
    # The same request under the same key is taken once there is room.
    assert not IdempotencyRecord.objects.exists()
    Item.objects.update(state=ItemState.DONE)
    assert submit(make_client(), "bulk", **{"Idempotency-Key": "one"}).status_code == 200


def test_a_request_that_was_taken_gets_its_answer_again_all_the_same() -> None:
    client = make_client()
    body = {"input_file_id": make_file(LINE).public_id, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    headers = {"Idempotency-Key": "one"}
    first = client.post("/v1/batches", body, content_type="application/json", headers=headers)
    make_old("default", 48 * 3600)
    again = client.post("/v1/batches", body, content_type="application/json", headers=headers)
    assert (again.status_code, again.json()) == (200, first.json())
    assert client.post("/v1/batches", body, content_type="application/json").status_code == 503


def test_the_depth_counts_what_is_still_to_be_done(settings: Any) -> None:
    settings.INTAKE_MAX_WAITING = 4
    make_job(done=50, dead=1, running=1, waiting=3)
    assert submit(make_client(), "bulk").status_code == 200
    make_job(done=0, dead=0, running=0, waiting=1)
    answer = submit(make_client(), "bulk")
    assert (answer.status_code, "5 items wait (limit 4)" in answer.json()["error"]["message"]) == (503, True)
    assert submit(make_client(), "default").status_code == 200


def test_jobs_that_have_ended_or_are_paused_do_not_count() -> None:
    for status in ("paused", "completed"):
        job = make_old("bulk", 48 * 3600)
        Job.objects.filter(id=job.id).update(status=status, ended_at=timezone.now() if status == "completed" else None)
    assert submit(make_client(), "bulk").status_code == 200


def test_a_full_message_store(settings: Any) -> None:
    settings.INTAKE_MAX_WAITING = 0
    # So much that a connection more or less is no share of it.
    redis_client().set("tests:ballast", b"x" * 30_000_000)
    used = int(redis_client().info("memory")["used_memory"])
    try:
        redis_client().config_set("maxmemory", int(used / 0.93))
        assert [submit(make_client(), lane).status_code for lane in ("bulk", "default")] == [503, 200]
    finally:
        redis_client().config_set("maxmemory", 0)
        redis_client().delete("tests:ballast")
    assert submit(make_client(), "bulk").status_code == 200


def test_a_message_store_that_is_away_refuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    import redis

    monkeypatch.setattr(requiring, "redis_client", lambda: redis.Redis(port=1))
    assert submit(make_client(), "bulk").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_single_calls_are_refused_last_and_at_once(settings: Any) -> None:
    make_callable()
    secret = make_secret()
    make_old("bulk", 48 * 3600)
    make_old("default", 48 * 3600)
    make_old("interactive", 400)
    for path in ("/v1/chat/completions", "/v1/responses"):
        body = GOOD if path.endswith("completions") else {"model": "small", "input": "hi"}
        answer = asyncio.run(post(secret, body, path))
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert json.loads(answer.content)["error"]["code"] == "overloaded"
    assert Job.objects.filter(kind="single").count() == 0
    settings.INTAKE_OLDEST_SECONDS = settings.INTAKE_OLDEST_SECONDS | {"interactive": 1000}
    require_room(Lane.INTERACTIVE)


def test_the_page_for_a_new_job_tells_why() -> None:
    make_route()
    make_old("bulk", 48 * 3600)
    office = make_office_client()
    form = {"workspace": make_workspace().pk, "model": "small", "user": "Say {{text}}", "lane": "bulk"}
    office.post(reverse("admin:jobs_job_new"), form | {"upload": SimpleUploadedFile("a.csv", b"text\nhi\n"), "step": "preview"})
    before = Job.objects.count()
    answer = office.post(reverse("admin:jobs_job_new"), form | {"file_id": File.objects.latest("id").id, "step": "submit"}, follow=True)
    assert "New work for the lane &#x27;bulk&#x27; is not taken at present" in answer.content.decode()
    assert Job.objects.count() == before


def test_people_see_that_it_is_refused() -> None:
    office = make_office_client()
    assert 'id="refused"' not in office.get(reverse("admin:index")).content.decode()
    assert 'aiplatform_intake_refused{lane="bulk"} 0.0' in office.get("/metrics").content.decode()
    make_old("bulk", 48 * 3600)
    assert "New work is refused" in office.get(reverse("admin:index")).content.decode()
    assert 'aiplatform_intake_refused{lane="bulk"} 1.0' in office.get("/metrics").content.decode()
    watch_conditions(now=timezone.now())
    assert Alert.objects.get(kind="work.refused").title.startswith("New work for the lane bulk is refused: the oldest item")


def test_accepted_work_is_untouched() -> None:
    job = make_old("bulk", 48 * 3600)
    client = make_client("flooder")
    for action in ("pause", "resume", "cancel"):
        assert client.post(f"/api/jobs/{job.public_id}/{action}").status_code == 200
    assert client.get(f"/api/jobs/{job.public_id}").status_code == 200


# --- what it costs --------------------------------------------------------------------------------------------------------


def test_a_request_asks_nothing_of_the_stores_between_two_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requiring, "MEASURED_SECONDS", 3600.0)
    require_room(Lane.BULK)
    with CaptureQueriesContext(connection) as captured:
        for lane in list(Lane) * 100:
            require_room(lane)
    assert len(captured) == 0


@pytest.mark.parametrize("items", [10, 400])
def test_a_look_reads_an_item_of_each_job_and_counts_none(items: int) -> None:
    make_job(done=0, dead=0, running=0, waiting=items)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE jobs_item")
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {requiring._MEASURE}")
        text = json.dumps(cursor.fetchall()[0][0])
    assert '"Relation Name": "jobs_item"' in text
    assert read_lanes(workspace_ids=None)[0].lane
    plan = json.loads(text)[0]["Plan"]
    assert max(_rows_of(plan, "jobs_item")) <= 1


def _rows_of(plan: dict[str, Any], table: str) -> list[float]:
    own = [plan["Actual Rows"]] if plan.get("Relation Name") == table else []
    return own + [rows for part in plan.get("Plans", ()) for rows in _rows_of(part, table)]


def test_while_one_measures_the_others_go_by_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    require_room(Lane.BULK)
    known, entered, gate = requiring._kept.load, threading.Event(), threading.Event()
    assert known is not None

    def slowly() -> Any:
        entered.set()
        gate.wait(30)
        return known

    monkeypatch.setattr(requiring, "_measure", slowly)
    thread = threading.Thread(target=require_room, args=[Lane.BULK])
    thread.start()
    try:
        assert entered.wait(30)
        require_room(Lane.BULK)
        assert thread.is_alive()
    finally:
        gate.set()
        thread.join()


def test_one_that_cannot_measure_leaves_the_others_to_try(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise ApiError(503, "unavailable", "away")

    with monkeypatch.context() as patch:
        patch.setattr(requiring, "_measure", broken)
        with pytest.raises(ApiError, match="away"):
            require_room(Lane.BULK)
    require_room(Lane.BULK)


# --- uploads --------------------------------------------------------------------------------------------------------------


def test_an_upload_that_would_not_fit_is_refused_when_it_is_announced(settings: Any) -> None:
    settings.FILES_MIN_FREE_BYTES = 10**18
    body = {"bytes": 3, "filename": "a.jsonl", "mime_type": "text/plain", "purpose": "batch"}
    answer = make_client().post("/v1/uploads", body, content_type="application/json")
    assert (answer.status_code, answer.json()["error"]["code"], answer.headers["Retry-After"]) == (503, "storage_short", "60")
    assert not Upload.objects.exists()


def over_asgi(
    path: str, *, method: str = "POST", length: int = 1000, header: tuple[bytes, bytes] | None = None
) -> tuple[int, dict[str, str], bytes, bool]:
    """(status, headers, body, whether Django was asked): the web process' own application, without its server."""
    from aiplatform import asgi

    asked: list[bool] = []
    sent: list[Any] = []

    async def django(_scope: Any, _receive: Any, send: Any) -> None:
        asked.append(True)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Any:
        return {"type": "http.request", "body": b"x" * length, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(b"content-length", str(length).encode()), *([header] if header else [])],
    }
    limited = asgi.application.application  # type: ignore[attr-defined]  # below the layer that adds headers
    limited.application, kept = django, limited.application
    try:
        asyncio.run(limited(scope, receive, send))
    finally:
        limited.application = kept
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, sent[1]["body"], bool(asked)


@pytest.mark.parametrize("path", ["/v1/files", "/v1/files/", "/v1/uploads/upload_1/parts", "/admin/jobs/job/new/"])
def test_an_upload_is_refused_before_its_first_byte_is_stored(path: str, settings: Any) -> None:
    assert over_asgi(path)[3]
    settings.FILES_MIN_FREE_BYTES = 10**18
    status, headers, body, is_asked = over_asgi(path)
    assert (status, headers["retry-after"], is_asked) == (503, "60", False)
    assert b"short of space" in body
    if path.startswith("/v1"):
        assert json.loads(body)["error"]["code"] == "storage_short"
    else:
        assert headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(("name", "value"), [("Idempotency-Key", "k"), ("X-Stainless-Retry-Count", "1")])
def test_an_upload_that_was_taken_gets_its_answer_again_and_a_new_one_is_refused(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    client, first = make_client(), {name: "0" if value == "1" else value}

    def upload(content: bytes, headers: dict[str, str]) -> Any:
        return client.post("/v1/files", {"purpose": "batch", "file": SimpleUploadedFile("a.jsonl", content)}, headers=headers)

    taken = upload(b"{}", first)
    settings.FILES_MIN_FREE_BYTES = 10_000
    monkeypatch.setattr("apps.files.queries.read_free_bytes", lambda: 5_000)
    sent = (name.lower().encode(), value.encode())
    assert [over_asgi("/v1/files", header=header)[0] for header in (None, sent)] == [503, 200]
    again = upload(b"{}", {name: value})
    assert (again.status_code, again.content, again["Idempotency-Replayed"]) == (200, taken.content, "true")
    other = upload(b"[]", {"X-Stainless-Retry-Count": "1"})
    assert (other.status_code, other.json()["error"]["code"], other["Retry-After"]) == (503, "storage_short", "60")
    monkeypatch.setattr("apps.files.queries.read_free_bytes", lambda: 3_000)
    assert over_asgi("/v1/files", header=sent)[0] == 503


def test_its_length_counts(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.FILES_MIN_FREE_BYTES = 1000
    monkeypatch.setattr("apps.files.queries.read_free_bytes", lambda: 3000)
    assert [over_asgi("/v1/files", length=length)[0] for length in (2000, 2001)] == [200, 503]
    monkeypatch.setattr("apps.files.queries.read_free_bytes", lambda: None)
    assert over_asgi("/v1/files")[0] == 200


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/files"), ("POST", "/v1/batches"), ("POST", "/admin/login/"), ("DELETE", "/v1/files/a")]
)
def test_what_stores_nothing_is_not_asked_for_space(method: str, path: str, settings: Any) -> None:
    settings.FILES_MIN_FREE_BYTES = 10**18
    assert over_asgi(path, method=method)[3]
