"""Uploads: what is taken, what is refused and why, and that nothing is left of what failed."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.storage import FileSystemStorage, default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from apps.files.actions import create_file
from apps.files.domain.upload import plain_name
from apps.files.models import File
from tests.factories.accounts import make_client, make_workspace
from tests.factories.files import NOW, make_file, stored_names

pytestmark = pytest.mark.django_db
PART = b'--b\r\nContent-Disposition: form-data; name="f%d"%b\r\n\r\nx\r\n'
CONTENT = b'{"custom_id": "a"}\n'


@pytest.fixture
def client() -> Client:
    return make_client()


def upload(client: Client, *, name: str = "a.jsonl", content: bytes = CONTENT, **fields: str) -> Any:
    form: dict[str, Any] = {"purpose": "batch", "file": SimpleUploadedFile("x", content)} | fields
    form["file"].name = name
    return client.post("/v1/files", form)


def spooled() -> list[Path]:
    return list(Path(settings.FILE_UPLOAD_TEMP_DIR).iterdir())


def test_an_upload_answers_a_whole_file_object_and_keeps_the_bytes(client: Client) -> None:
    answer = upload(client)
    assert answer.status_code == 200
    file = File.objects.get()
    created = int(file.created_at.timestamp())
    assert answer.json() == {
        "id": f"file-{file.id.hex}",
        "object": "file",
        "bytes": len(CONTENT),
        "created_at": created,
        "expires_at": created + 30 * 86400,
        "filename": "a.jsonl",
        "purpose": "batch",
        "status": "processed",
        "status_details": None,
    }
    assert b"".join(client.get(f"/v1/files/{file.public_id}/content").streaming_content) == CONTENT  # type: ignore[attr-defined]  # the stream of the client's answer
    assert file.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert spooled() == []


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({}, 2_592_000),
        ({"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}, 3600),
        ({"expires_after[anchor]": "created_at", "expires_after[seconds]": "2592000"}, 2_592_000),
        ({"purpose": "user_data"}, None),
        ({"purpose": "evals", "expires_after[anchor]": "created_at", "expires_after[seconds]": "7200"}, 7200),
    ],
)
def test_when_a_file_expires(client: Client, fields: dict[str, str], seconds: int | None) -> None:
    shown = upload(client, **fields).json()
    assert shown["expires_at"] == (shown["created_at"] + seconds if seconds else None)


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"purpose": ""}, "purpose", "missing_required_parameter"),
        ({"purpose": "party"}, "purpose", "invalid_purpose"),
        ({"purpose": "batch_output"}, "purpose", "invalid_purpose"),
        ({"purpose": "x" * 100_000}, "purpose", "invalid_purpose"),
        ({"purpose": "ba\0tch"}, "purpose", "invalid_purpose"),
        ({"expires_after[anchor]": "now", "expires_after[seconds]": "3600"}, "expires_after[anchor]", "invalid_value"),
        ({"expires_after[seconds]": "3600"}, "expires_after[anchor]", "invalid_value"),
        ({"expires_after[anchor]": "created_at"}, "expires_after[seconds]", "invalid_value"),
        *(
            ({"expires_after[anchor]": "created_at", "expires_after[seconds]": text}, "expires_after[seconds]", "invalid_value")
            for text in ("", "3599", "2592001", "-3600", "3600.5", "1e4", "x", "٣٦٠٠", " 3600", "9" * 5000, "3600\0", "25920000000")
        ),
    ],
)
def test_a_wrong_form_is_refused_with_its_field(client: Client, fields: dict[str, str], param: str, code: str) -> None:
    answer = upload(client, **fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, param, code)
    assert len(error["message"]) < 500
    assert stored_names() == []
    assert spooled() == []
    assert not File.objects.exists()


def test_a_form_without_a_file_and_an_empty_file_are_refused(client: Client) -> None:
    without = client.post("/v1/files", {"purpose": "batch"})
    text = client.post("/v1/files", {"purpose": "batch", "file": "not a file"})
    empty = upload(client, content=b"")
    assert [answer.json()["error"]["code"] for answer in (without, text, empty)] == [
        "missing_required_parameter",
        "missing_required_parameter",
        "empty_file",
    ]
    assert {answer.status_code for answer in (without, text, empty)} == {400}
    assert stored_names() == []


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{}", "application/json", 415),
        (b"purpose=batch", "application/x-www-form-urlencoded", 415),
        (b"x", "text/plain", 415),
        (b"x", "multipart/form-data", 400),
        (b"x", "multipart/form-data; boundary=", 400),
        (b"x", "multipart/form-data; boundary=" + "b" * 300, 415),
        (b"x", "multipart/form-data; boundary=b", 400),
        (b"--b\r\n\r\n", "multipart/form-data; boundary=b", 400),
        (b"--b\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\ncut off", "multipart/form-data; boundary=b", 400),
        (b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n\xff\xfe\r\n--b--\r\n', "multipart/form-data; boundary=b", 400),
        (b"".join(PART % (n, b"") for n in range(2000)) + b"--b--\r\n", "multipart/form-data; boundary=b", 400),
        (b"".join(PART % (n, b'; filename="a"') for n in range(200)) + b"--b--\r\n", "multipart/form-data; boundary=b", 400),
    ],
    ids=range(12),
)
def test_bodies_that_are_no_form_are_refused(client: Client, body: bytes, content_type: str, status: int) -> None:
    answer = client.generic("POST", "/v1/files", body, content_type=content_type)
    assert answer.status_code == status, answer.content
    assert answer.json()["error"]["message"]
    assert stored_names() == []
    assert spooled() == []


@pytest.mark.parametrize(
    "name",
    [
        *("../../etc/passwd", "..\\..\\boot.ini", "/abs/olute", "..", ".", "; rm -rf", "%2e%2e%2f", " "),
        *("a\0b", "a\r\nSet-Cookie: x=1", 'quote".jsonl', "ü€😀.jsonl", "a" * 5000, "\u202egnp.exe", "\u202e"),
    ],
)
def test_a_hostile_name_stays_a_name(name: str) -> None:
    workspace = make_workspace()
    file = make_file(workspace=workspace, filename=name)
    assert file.storage_key == f"{workspace.id.hex}/{file.id.hex}"
    assert stored_names() == [file.storage_key]
    answer = make_client().get(f"/v1/files/{file.public_id}/content")
    disposition = answer.headers["Content-Disposition"]
    assert disposition.startswith("attachment; filename")
    assert not {"\r", "\n", "\0"} & set(disposition)
    assert (answer.headers["X-Content-Type-Options"], answer.headers["Content-Type"]) == ("nosniff", "application/octet-stream")
    assert b"".join(answer.streaming_content) == b"one\n"  # type: ignore[attr-defined]  # the stream of the client's answer


@pytest.mark.parametrize("name", ["../../x.jsonl", "a\0b.jsonl", "ü€😀.jsonl", "x" * 2000 + ".jsonl", "..", "\udcff.jsonl"])
def test_a_hostile_name_in_the_form_is_taken_as_a_plain_one_or_refused(client: Client, name: str) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n' % name.encode(errors="surrogateescape")
    body = head + CONTENT + b'\r\n--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b--\r\n'
    answer = client.generic("POST", "/v1/files", body, content_type="multipart/form-data; boundary=b")
    assert answer.status_code in {200, 400}, answer.content
    assert all("/" in stored and ".." not in stored for stored in stored_names())


@given(st.text(max_size=400))
def test_a_plain_name_is_never_empty_long_or_a_path(text: str) -> None:
    name = plain_name(text)
    assert 0 < len(name) <= 255
    assert name.isprintable()
    assert not {"/", "\\"} & set(name)
    assert name not in {".", ".."}
    json.dumps(name).encode()


def test_when_the_row_can_not_be_written_the_bytes_go(monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = make_workspace()

    def fail(**_: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(File.objects, "create", fail)
    with pytest.raises(ConnectionError):
        make_file(workspace=workspace)
    assert stored_names() == []


def test_when_the_content_breaks_off_nothing_stays() -> None:
    workspace = make_workspace()

    def content() -> Any:
        yield b"x" * 5_000_000
        raise ConnectionError

    with pytest.raises(ConnectionError):
        create_file(
            workspace_id=workspace.id, api_key_id=None, purpose="batch_output", filename="a", content=content(),
            expires_after_seconds=None, now=NOW,
        )  # fmt: skip
    assert stored_names() == []
    assert spooled() == []


def test_when_the_storage_fails_midway_nothing_stays(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full: some bytes are there when the write fails."""

    def save(self: Any, name: str, content: Any) -> str:
        path = Path(self.path(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.read(5))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FileSystemStorage, "_save", save)
    answer = upload(client)
    assert (answer.status_code, answer.json()["error"]["code"], answer["Retry-After"]) == (503, "storage_short", "60")
    assert "No space left" not in answer.content.decode()
    assert stored_names() == []
    assert spooled() == []
    with pytest.raises(OSError, match="No space"):
        make_file()
    assert stored_names() == []


def test_what_the_platform_writes_is_hashed_and_measured() -> None:
    written = create_file(
        workspace_id=make_workspace().id, api_key_id=None, purpose="batch_output", filename="out", content=iter([b"abc", b"def"]),
        expires_after_seconds=60, now=NOW,
    )  # fmt: skip
    assert (written.size_bytes, written.sha256) == (6, "bef57ec7f53a6d40beb640a780a639c83bc29ac8a9816f1fc6c5c6dcd93c4721")
    assert make_file(b"abcdef").sha256 == written.sha256
    with default_storage.open(written.storage_key) as stored:
        assert stored.read() == b"abcdef"
