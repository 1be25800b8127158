"""List, show, read, delete and expire: each workspace sees its own files, and only those that are there."""

import importlib
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from apps.accounts.models import Workspace
from apps.files.actions import clear_spool, delete_file, expire_files
from apps.files.models import File
from apps.files.queries import FileGoneError, open_file
from apps.jobs.actions import expire_files as expire_unneeded
from apps.jobs.models import Job
from tests.factories.accounts import make_client, make_workspace
from tests.factories.files import NOW, make_file, stored_names
from tests.factories.jobs import make_job

pytestmark = pytest.mark.django_db
GRACE = timedelta(minutes=10)
module = importlib.import_module("apps.files.actions.expire_files")


def expire(now: datetime) -> int:
    """While no job is open."""
    return expire_files(now=now, find_needed=list)


@pytest.fixture
def client() -> Client:
    return make_client()


def listed(client: Client, **parameters: Any) -> list[str]:
    answer = client.get("/v1/files", parameters)
    assert answer.status_code == 200, answer.content
    return [file["id"] for file in answer.json()["data"]]


def test_an_empty_list_has_no_ids(client: Client) -> None:
    expected = {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
    assert client.get("/v1/files").json() == expected


def test_files_are_listed_newest_first_or_oldest_first(client: Client) -> None:
    made = [make_file(now=NOW + timedelta(seconds=second)).public_id for second in range(3)]
    assert listed(client) == listed(client, order="desc") == made[::-1]
    assert listed(client, order="asc") == made


def test_pages_follow_each_other(client: Client) -> None:
    made = [make_file(now=NOW + timedelta(seconds=second)).public_id for second in range(5)][::-1]
    first = client.get("/v1/files", {"limit": 2}).json()
    assert (first["first_id"], first["last_id"], first["has_more"]) == (made[0], made[1], True)
    assert listed(client, limit=2, after=first["last_id"]) == made[2:4]
    last = client.get("/v1/files", {"limit": 2, "after": made[3]}).json()
    assert ([file["id"] for file in last["data"]], last["has_more"]) == (made[4:], False)


@pytest.mark.parametrize(("limit", "number"), [("0", 1), ("-1", 1), ("99999999999", 3), ("9" * 6000, 3)])
def test_a_limit_out_of_range_is_brought_into_it(client: Client, limit: str, number: int) -> None:
    for _ in range(3):
        make_file()
    assert len(listed(client, limit=limit)) == number


@pytest.mark.parametrize("query", [{"limit": "x"}, {"limit": ""}, {"order": "sideways"}, {"order": ""}])
def test_a_query_that_makes_no_sense_is_refused_by_name(client: Client, query: dict[str, str]) -> None:
    answer = client.get("/v1/files", query)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, next(iter(query)))


@pytest.mark.parametrize("after", ["x", "file-", "file-" + "0" * 32, "batch_" + "0" * 32, "ü" * 1000])
def test_after_what_is_not_there_nothing_follows(client: Client, after: str) -> None:
    make_file()
    assert listed(client, after=after) == []


def test_after_a_file_of_somebody_else_nothing_follows(client: Client) -> None:
    theirs = make_file(workspace=make_workspace("theirs"), now=NOW + timedelta(days=1))
    make_file()
    assert listed(client, after=theirs.public_id) == []


def test_files_are_listed_by_purpose(client: Client) -> None:
    batch, output = make_file(), make_file(purpose="batch_output")
    assert listed(client, purpose="batch") == [batch.public_id]
    assert listed(client, purpose="batch_output") == [output.public_id]
    assert listed(client, purpose="party") == []


def test_others_and_deleted_and_expired_files_are_not_listed(client: Client) -> None:
    make_file(workspace=make_workspace("theirs"))
    make_file(expires_after_seconds=3600, now=timezone.now() - timedelta(hours=2))
    gone = make_file()
    delete_file(file_id=gone.id, now=NOW)
    here = make_file()
    assert listed(client) == [here.public_id]


def test_the_bytes_come_back_as_a_download(client: Client) -> None:
    content = bytes(range(256)) * 4000
    file = make_file(content, filename='it\'s "mine" ü.jsonl')
    for accept in ("application/binary", "*/*", "text/html", "nonsense", "application/json;q=0"):
        answer = client.get(f"/v1/files/{file.public_id}/content", headers={"Accept": accept})
        assert answer.status_code == 200, accept
        assert b"".join(answer.streaming_content) == content  # type: ignore[attr-defined]  # the stream of the client's answer
        assert answer.headers["Content-Length"] == str(len(content))
        assert answer.headers["Content-Disposition"] == "attachment; filename*=utf-8''it%27s%20%22mine%22%20%C3%BC.jsonl"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_deleted_file_is_gone_and_its_bytes_too(
    client: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    file = make_file()
    with django_capture_on_commit_callbacks(execute=True):
        answer = client.delete(f"/v1/files/{file.public_id}")
        assert stored_names() != []
    assert answer.json() == {"id": file.public_id, "object": "file", "deleted": True}
    assert stored_names() == []
    assert File.objects.filter(id=file.id, deleted_at__isnull=False).exists()
    for answer in (
        client.get(f"/v1/files/{file.public_id}"),
        client.get(f"/v1/files/{file.public_id}/content"),
        client.delete(f"/v1/files/{file.public_id}"),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    with pytest.raises(FileGoneError):
        open_file(file.id)


def test_when_the_storage_lost_the_bytes_the_caller_is_told(client: Client) -> None:
    file = make_file()
    File.objects.filter(id=file.id).update(storage_key="lost")
    answer = client.get(f"/v1/files/{file.public_id}/content")
    assert answer.status_code == 404
    assert "missing from the storage" in answer.json()["error"]["message"]


def test_expired_files_are_deleted_with_their_bytes() -> None:
    for _ in range(3):
        make_file(expires_after_seconds=3600)
    later, forever = make_file(expires_after_seconds=3601), make_file(purpose="user_data")
    over = NOW + timedelta(seconds=3600) + GRACE
    assert expire(over) == 3
    assert expire(over) == 0
    assert stored_names() == sorted([later.storage_key, forever.storage_key])


@pytest.mark.parametrize(
    ("purpose", "days", "expected"),
    [
        ("batch", (30, None), 30),
        ("batch_output", (30, None), 30),
        ("batch_output", (7, None), 7),
        ("batch_output", (7, 90), 90),
        ("batch", (30, 0), None),
        ("batch", (0, None), None),
        ("batch", (0, 5), 5),
        ("user_data", (30, 5), None),
        ("assistants", (30, None), None),
    ],
)
def test_how_long_a_file_is_kept_that_says_nothing(
    client: Client, settings: Settings, purpose: str, days: tuple[int, int | None], expected: int | None
) -> None:
    settings.KEEP_FILES_DAYS, own = days
    Workspace.objects.filter(id=make_workspace().id).update(keep_files_days=own)
    file = make_file(purpose=purpose)
    assert file.expires_at == (NOW + timedelta(days=expected) if expected else None)
    shown = client.get(f"/v1/files/{file.public_id}").json()
    assert shown["expires_at"] == (shown["created_at"] + expected * 86_400 if expected else None)
    said = make_file(purpose=purpose, expires_after_seconds=7200)
    assert said.expires_at == NOW + timedelta(hours=2)


def test_files_from_before_have_their_whole_time_from_the_upgrade_on(settings: Settings) -> None:
    now = timezone.now()
    old, young = (make_file(purpose="batch_output", now=now - timedelta(days=days)) for days in (400, 10))
    own, kept = make_file(workspace=make_workspace("own")), make_file(workspace=make_workspace("kept"))
    other = make_file(purpose="user_data")
    File.objects.update(expires_at=None)
    Workspace.objects.filter(name="own").update(keep_files_days=90)
    Workspace.objects.filter(name="kept").update(keep_files_days=0)
    assert expire(now) == 0
    found = dict(File.objects.values_list("id", "expires_at"))
    assert found == {
        old.id: now + timedelta(days=30),
        young.id: now + timedelta(days=30),
        own.id: now + timedelta(days=90),
        kept.id: None,
        other.id: None,
    }
    assert expire(now + timedelta(days=29)) == 0
    assert expire(now + timedelta(days=30) + GRACE) == 2
    assert File.objects.present().count() == 3
    settings.KEEP_FILES_DAYS = 0
    File.objects.filter(id=young.id).update(expires_at=None)
    expire(now)
    assert File.objects.get(id=young.id).expires_at is None


def test_files_go_in_bites_until_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", 2)
    for _ in range(5):
        make_file(expires_after_seconds=3600)
    make_file(purpose="batch_output")
    File.objects.filter(purpose="batch_output").update(expires_at=None)
    late = NOW + timedelta(hours=2)
    monkeypatch.setattr(module, "_SECONDS", -1.0)
    assert expire(late) == 0
    monkeypatch.setattr(module, "_SECONDS", 60.0)
    assert expire(late) == 5
    assert File.objects.present().get().expires_at is not None


def test_what_an_open_job_needs_stays_until_the_job_has_ended(client: Client) -> None:
    job, other = make_job(done=1, running=0), make_job(done=1, running=0)
    names = ("input_file", "output_file", "error_file", "table_file")
    files = [make_file(expires_after_seconds=3600) for _ in names]
    Job.objects.filter(id=job.id).update(**dict(zip(names, files, strict=True)), ended_at=None)
    over = make_file(expires_after_seconds=3600)
    Job.objects.filter(id=other.id).update(output_file=over, ended_at=timezone.now())
    late = NOW + timedelta(hours=2)
    assert expire_unneeded(now=late) == 1
    assert not File.objects.present().filter(id=over.id).exists()
    # Callers were told when it expires; the job reads it all the same.
    assert client.get(f"/v1/files/{files[0].public_id}").status_code == 404
    for file in files:
        with open_file(file.id) as stream:
            assert stream.read() == b"one\n"
    Job.objects.update(ended_at=timezone.now())
    assert expire_unneeded(now=late) == 4


def test_what_a_killed_process_left_in_the_spool_goes_after_a_day(settings: Settings, tmp_path: Path) -> None:
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path
    for name, age in (("old.upload", timedelta(days=2)), ("young.upload", timedelta(hours=2))):
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, times=((NOW - age).timestamp(),) * 2)
    assert clear_spool(now=NOW) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["young.upload"]


def test_an_expired_file_is_not_served_even_before_it_is_deleted(client: Client) -> None:
    file = make_file(expires_after_seconds=3600, now=timezone.now() - timedelta(hours=2))
    assert client.get(f"/v1/files/{file.public_id}").status_code == 404
    assert client.get(f"/v1/files/{file.public_id}/content").status_code == 404
