"""`/api/files`: facts, bytes, deletion, and lists by cursor."""

from datetime import timedelta

import pytest

from tests.factories.accounts import make_client, make_workspace
from tests.factories.files import NOW, make_file

pytestmark = pytest.mark.django_db


def test_a_file_is_listed_read_and_deleted() -> None:
    file, client = make_file(b"one\n", filename="a.jsonl"), make_client()
    facts = client.get(f"/api/files/{file.public_id}").json()
    assert (facts["id"], facts["filename"], facts["size_bytes"], facts["purpose"]) == (file.public_id, "a.jsonl", 4, "batch")
    assert facts["sha256"] == file.sha256
    assert client.get("/api/files").json() == {"data": [facts], "next_cursor": None}
    content = client.get(f"/api/files/{file.public_id}/content")
    assert b"".join(content.streaming_content) == b"one\n"
    assert content.headers["Content-Disposition"].startswith("attachment")
    assert client.delete(f"/api/files/{file.public_id}").status_code == 204
    assert client.get(f"/api/files/{file.public_id}").status_code == 404
    assert client.get("/api/files").json()["data"] == []


def test_files_are_narrowed_and_paged() -> None:
    made = [make_file(now=NOW + timedelta(hours=number)).public_id for number in range(3)]
    other = make_file(purpose="user_data", now=NOW).public_id
    make_file(workspace=make_workspace("others"))
    client = make_client()
    assert [file["id"] for file in client.get("/api/files?purpose=user_data").json()["data"]] == [other]
    assert [file["id"] for file in client.get("/api/files", {"created_after": (NOW + timedelta(hours=1)).isoformat()}).json()["data"]] == [
        made[2],
        made[1],
    ]
    first = client.get("/api/files?limit=3").json()
    rest = client.get("/api/files", {"limit": 3, "cursor": first["next_cursor"]}).json()
    assert {file["id"] for file in first["data"] + rest["data"]} == {*made, other}
    assert (len(first["data"]), rest["next_cursor"]) == (3, None)
