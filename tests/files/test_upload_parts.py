"""A file in parts: whole, checked, and nothing left of what was given up."""

import hashlib
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from apps.files.actions import expire_uploads, remove_strays
from apps.files.models import File, Part, Upload
from apps.lib.ids import uuid7
from tests.factories.accounts import make_client
from tests.factories.files import make_file, stored_names

pytestmark = pytest.mark.django_db
CONTENT = b"0123456789"


@pytest.fixture
def client() -> Client:
    return make_client()


def start(client: Client, **values: Any) -> Any:
    body = {"bytes": len(CONTENT), "filename": "a.jsonl", "mime_type": "application/jsonl", "purpose": "batch"} | values
    return client.post("/v1/uploads", body, content_type="application/json")


def add(client: Client, upload: str, content: bytes) -> Any:
    return client.post(f"/v1/uploads/{upload}/parts", {"data": SimpleUploadedFile("x", content)})


def complete(client: Client, upload: str, parts: list[str], **values: Any) -> Any:
    return client.post(f"/v1/uploads/{upload}/complete", {"part_ids": parts} | values, content_type="application/json")


def two_parts(client: Client) -> tuple[str, list[str]]:
    upload = start(client).json()["id"]
    return upload, [add(client, upload, content).json()["id"] for content in (CONTENT[4:], CONTENT[:4])]


def test_parts_become_a_file_in_the_order_that_is_said(
    client: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    upload, (second, first) = two_parts(client)
    with django_capture_on_commit_callbacks(execute=True):
        answer = complete(client, upload, [first, second], md5=hashlib.md5(CONTENT, usedforsecurity=False).hexdigest())
    assert answer.status_code == 200
    body = answer.json()
    assert (body["object"], body["status"], body["bytes"], body["file"]["bytes"]) == ("upload", "completed", 10, 10)
    file = File.objects.get()
    assert (body["file"]["id"], file.filename, file.purpose) == (file.public_id, "a.jsonl", "batch")
    assert b"".join(client.get(f"/v1/files/{file.public_id}/content").streaming_content) == CONTENT  # type: ignore[attr-defined]  # the stream of the client's answer
    assert stored_names() == [file.storage_key]
    assert Part.objects.count() == 0


def test_completing_again_gives_the_same_file(client: Client) -> None:
    upload, (second, first) = two_parts(client)
    once, again = complete(client, upload, [first, second]).json(), complete(client, upload, [first, second]).json()
    assert once == again
    assert File.objects.count() == 1


def test_a_part_is_told_as_the_sdk_reads_it(client: Client) -> None:
    upload = start(client).json()
    part = add(client, upload["id"], b"012").json()
    assert (part["object"], part["upload_id"], part["id"][:5]) == ("upload.part", upload["id"], "part_")
    assert upload["expires_at"] - upload["created_at"] == 3600
    assert (upload["status"], upload["file"]) == ("pending", None)


@pytest.mark.parametrize(
    ("values", "param"),
    [
        ({"bytes": 0}, "bytes"),
        ({"bytes": True}, "bytes"),
        ({"bytes": "10"}, "bytes"),
        ({"bytes": 513 << 20}, "bytes"),
        ({"filename": ""}, "filename"),
        ({"filename": 7}, "filename"),
        ({"mime_type": None}, "mime_type"),
        ({"purpose": "batch_output"}, "purpose"),
        ({"expires_after": 5}, "expires_after"),
        ({"expires_after": {"anchor": "now", "seconds": 3600}}, "expires_after[anchor]"),
        ({"expires_after": {"anchor": "created_at", "seconds": 5}}, "expires_after[seconds]"),
    ],
)
def test_an_announcement_that_is_wrong_names_the_parameter(client: Client, values: dict[str, Any], param: str) -> None:
    answer = start(client, **values)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert Upload.objects.count() == 0


def test_more_bytes_than_announced_are_refused_and_not_kept(client: Client) -> None:
    upload = start(client).json()["id"]
    add(client, upload, CONTENT[:8])
    answer = add(client, upload, b"xyz")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "upload_too_large")
    assert len(stored_names()) == 1


@pytest.mark.parametrize(
    ("choose", "values", "code"),
    [
        (lambda parts: parts[:1], {}, "size_mismatch"),
        (lambda parts: [*parts, "part_" + "0" * 32], {}, "part_not_found"),
        (lambda parts: [parts[0], parts[0]], {}, "invalid_value"),
        (lambda _: [], {}, "invalid_type"),
        (lambda _: "part", {}, "invalid_type"),
        (lambda parts: parts, {"md5": "0" * 32}, "checksum_mismatch"),
        (lambda parts: parts, {"md5": "xyz"}, "invalid_value"),
    ],
)
def test_a_completion_that_is_wrong_changes_nothing(client: Client, choose: Any, values: dict[str, Any], code: str) -> None:
    upload, parts = two_parts(client)
    answer = complete(client, upload, choose(parts), **values)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert (File.objects.count(), Part.objects.count(), len(stored_names())) == (0, 2, 2)
    assert complete(client, upload, parts[::-1]).status_code == 200


def test_parts_of_another_upload_are_unknown(client: Client) -> None:
    upload, _ = two_parts(client)
    _, others = two_parts(client)
    assert complete(client, upload, others).json()["error"]["code"] == "part_not_found"


def test_a_cancelled_upload_leaves_nothing_and_takes_nothing(
    client: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    upload, parts = two_parts(client)
    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(f"/v1/uploads/{upload}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert stored_names() == []
    assert client.post(f"/v1/uploads/{upload}/cancel").status_code == 200
    for late in (add(client, upload, b"x"), complete(client, upload, parts)):
        assert (late.status_code, late.json()["error"]["code"]) == (409, "invalid_state")
    assert stored_names() == []


def test_an_upload_whose_hour_is_over_goes_with_its_bytes(
    client: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    upload, _ = two_parts(client)
    Upload.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert add(client, upload, b"x").json()["error"]["message"].startswith("This upload is expired")
    with django_capture_on_commit_callbacks(execute=True):
        assert expire_uploads(now=timezone.now()) == 1
    assert stored_names() == []
    assert Upload.objects.get().status == "expired"


@pytest.mark.parametrize(("form", "code"), [({}, "missing_required_parameter"), ({"data": SimpleUploadedFile("x", b"")}, "empty_file")])
def test_a_part_without_bytes_is_refused(client: Client, form: dict[str, Any], code: str) -> None:
    upload = start(client).json()["id"]
    answer = client.post(f"/v1/uploads/{upload}/parts", form)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_a_text_in_a_files_place_is_told_from_nothing(client: Client) -> None:
    upload = start(client).json()["id"]
    for path, name in (("/v1/files", "file"), (f"/v1/uploads/{upload}/parts", "data")):
        answer = client.post(path, {name: "no file", "purpose": "batch"})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)
        assert f"-F {name}=@" in answer.json()["error"]["message"]


@pytest.mark.parametrize("values", [{"md5": 0}, {"md5": []}, {"md5": False}])
def test_an_md5_that_is_no_text_is_refused(client: Client, values: dict[str, Any]) -> None:
    upload, parts = two_parts(client)
    answer = client.post(f"/v1/uploads/{upload}/complete", {"part_ids": parts} | values, content_type="application/json")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "md5")


def test_bytes_that_no_row_knows_go_after_a_day(client: Client) -> None:
    kept = make_file().storage_key
    _, _ = two_parts(client)
    workspace = kept.split("/", maxsplit=1)[0]
    stray, fresh = _id_of(timezone.now() - timedelta(days=2)), uuid7()
    for key in (stray, fresh):
        default_storage.save(f"{workspace}/{key.hex}", ContentFile(b"x"))
    before = set(stored_names())
    assert remove_strays(now=timezone.now()) == 1
    assert before - set(stored_names()) == {f"{workspace}/{stray.hex}"}
    assert remove_strays(now=timezone.now() + timedelta(days=3)) == 1
    assert kept in stored_names()


def _id_of(moment: Any) -> UUID:
    """A UUIDv7 as it would have been made at that moment."""
    return UUID(int=(int(moment.timestamp() * 1000) << 80) | (uuid7().int & ((1 << 80) - 1)))
