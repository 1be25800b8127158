"""`/api/collections`, `/api/documents`, `/api/snapshots`: uploaded, read, found, frozen."""

import json
from importlib import import_module
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.accounts.models import AuditEntry
from apps.knowledge.actions import extract_document
from apps.knowledge.domain.limits import Limits
from apps.knowledge.models import DocumentVersion
from tests.factories.accounts import make_client
from tests.factories.knowledge import make_collection, make_document

pytestmark = pytest.mark.django_db

REFUNDS = "# Refunds\n\nMoney is paid back within fourteen days.\n\n# Shipping\n\nParcels leave in the evening.\n"


def ask(client: Client, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    answer = client.generic(method, path, "" if body is None else json.dumps(body), content_type="application/json")
    return answer.status_code, json.loads(answer.content) if answer.content else None


def send(client: Client, *files: tuple[str, str], collection: str = "handbook", **values: str) -> tuple[int, Any]:
    form = {"collection": collection, "file": [SimpleUploadedFile(name, text.encode()) for name, text in files], **values}
    answer = client.post("/api/documents", form)
    return answer.status_code, answer.json()


def zipped(**members: str) -> bytes:
    content = BytesIO()
    with ZipFile(content, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return content.getvalue()


def send_bytes(client: Client, name: str, content: bytes) -> tuple[int, Any]:
    answer = client.post("/api/documents", {"collection": "handbook", "file": [SimpleUploadedFile(name, content)]})
    return answer.status_code, answer.json()


def read_all() -> None:
    for version_id in DocumentVersion.objects.filter(status="pending").values_list("id", flat=True):
        extract_document(version_id=version_id)


def test_documents_come_in_are_read_found_and_deleted() -> None:
    client = make_client()
    status, made = ask(client, "POST", "/api/collections", {"name": "handbook", "language": "english"})
    assert (status, made["revision"], made["chunks"], made["language"]) == (201, 0, 0, "english")
    assert ask(client, "POST", "/api/collections", {"name": "handbook"})[0] == 409
    status, sent = send(client, ("refunds.txt", REFUNDS), ("more.txt", "Chairs are stacked."), metadata='{"kind": "rules"}')
    assert (status, [one["is_new"] for one in sent["data"]]) == (201, [True, True])
    told = sent["data"][0]["document"]
    assert (told["name"], told["metadata"], told["newest"]["status"], told["current_version"]) == (
        *("refunds.txt", {"kind": "rules"}, "pending", None),
    )
    read_all()
    document = f"/api/documents/{told['id']}"
    told = ask(client, "GET", document)[1]
    assert (told["newest"]["status"], told["newest"]["pages"], told["current_version"]) == ("ready", 1, 1)
    assert [one["name"] for one in ask(client, "GET", "/api/documents?status=ready&limit=1")[1]["data"]] == ["more.txt"]
    assert ask(client, "GET", "/api/documents?status=refused")[1]["data"] == []
    assert len(ask(client, "GET", "/api/documents?collection=handbook")[1]["data"]) == 2
    assert ask(client, "GET", "/api/documents?collection=other")[1]["data"] == []
    assert [one["version"] for one in ask(client, "GET", f"{document}/versions")[1]["data"]] == [1]

    status, found = ask(client, "POST", f"/api/collections/{made['id']}/search", {"query": "When is money paid back?", "top_k": 1})
    (result,) = found["results"]
    assert (status, result["document"], result["version"], "fourteen days" in result["text"]) == (200, told["id"], 1, True)
    assert ask(client, "GET", f"/api/snapshots/{found['id']}") == (200, found)
    text = ask(client, "GET", f"{document}/text")[1]
    assert text["text"][result["start"] : result["end"]] == result["text"]

    assert ask(client, "DELETE", document) == (204, None)
    assert ask(client, "GET", document)[0] == 404
    assert ask(client, "GET", f"/api/snapshots/{found['id']}") == (200, found)
    assert (
        ask(client, "POST", "/api/collections/handbook/search", {"query": "money paid back", "top_k": 5})[1]["results"] != found["results"]
    )


def test_the_same_upload_changes_nothing_and_another_is_a_new_version() -> None:
    make_collection()
    client = make_client()
    first = send(client, ("a.txt", "One."))[1]["data"][0]
    again = send(client, ("a.txt", "One."))[1]["data"][0]
    other = send(client, ("a.txt", "Two."))[1]["data"][0]
    assert [one["version"] for one in (first, again, other)] == [1, 1, 2]
    assert [one["is_new"] for one in (first, again, other)] == [True, False, True]
    assert len({one["document"]["id"] for one in (first, again, other)}) == 1


def test_a_text_is_read_in_parts() -> None:
    version = make_document(REFUNDS)
    client, path = make_client(), f"/api/documents/{version.document.public_id}/text"
    whole = ask(client, "GET", path)[1]
    parts, offset = [], 0
    while offset is not None:
        part = ask(client, "GET", f"{path}?offset={offset}&limit=17&version=1")[1]
        parts.append(part["text"])
        offset = part["next_offset"]
    assert "".join(parts) == whole["text"]
    assert (whole["characters"], whole["next_offset"]) == (len(whole["text"]), None)
    assert [whole["text"][one["start"] : one["end"]] for one in whole["sections"]]
    assert ask(client, "GET", f"{path}?version=2")[0] == 404
    for wrong in ("offset=-1", "limit=0", "limit=x", "version=0"):
        assert ask(client, "GET", f"{path}?{wrong}")[0] == 400


@pytest.mark.parametrize(
    ("values", "param"),
    [
        ({"collection": ""}, "collection"),
        ({"metadata": "no JSON"}, "metadata"),
        ({"metadata": "[1]"}, "metadata"),
        ({"metadata": '{"a": 1}'}, "metadata"),
    ],
)
def test_a_form_that_makes_no_sense_names_its_field(values: dict[str, str], param: str) -> None:
    make_collection()
    status, told = send(make_client(), ("a.txt", "One."), **values)
    assert (status, told["param"]) == (400, param)
    assert not DocumentVersion.objects.exists()


def test_a_form_without_a_file_or_with_an_empty_one_or_for_nothing_is_refused() -> None:
    make_collection()
    client = make_client()
    assert send(client)[1]["param"] == "file"
    assert send(client, ("a.txt", ""))[1]["code"] == "empty_file"
    assert send(client, ("a.txt", "One."), collection="none")[1]["code"] == "collection_not_found"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "query"),
        ({"query": ""}, "query"),
        ({"query": "a", "top_k": 0}, "top_k"),
        ({"query": "a", "mode": "magic"}, "mode"),
        ({"query": "a", "as_of": 1}, "as_of"),
        ({"query": "a", "document_ids": ["doc_x"]}, "document_ids"),
        ({"query": "a", "pin": {"scope": "s"}}, "pin.state_version"),
    ],
)
def test_a_search_that_makes_no_sense_names_its_field(body: dict[str, Any], param: str) -> None:
    make_collection()
    status, told = ask(make_client(), "POST", "/api/collections/handbook/search", body)
    assert (status, told["param"]) == (400, param)


def test_a_pinned_question_keeps_its_answer() -> None:
    collection = make_collection()
    make_document("Money is paid back.", collection=collection)
    client, body = make_client(), {"query": "money", "pin": {"scope": "ticket-7", "state_version": 1}}
    first = ask(client, "POST", "/api/collections/handbook/search", body)[1]
    make_document("Money, money.", collection=collection, name="song.txt")
    assert ask(client, "POST", "/api/collections/handbook/search", body) == (200, first)
    body["pin"] = {"scope": "ticket-7", "state_version": 2}
    assert len(ask(client, "POST", "/api/collections/handbook/search", body)[1]["results"]) == 2


def test_each_document_of_an_archive_is_one_of_its_own() -> None:
    make_collection(name="handbook")
    client = make_client()
    archive = zipped(**{"refunds.md": REFUNDS, "letters/2025/first.txt": "Dear Ada, thank you.", "__MACOSX/._x": "left out"})
    status, told = send_bytes(client, "all.zip", archive)
    assert (status, [one["document"]["name"] for one in told["data"]]) == (201, ["refunds.md", "letters - 2025 - first.txt"])
    assert told["data"][1]["document"]["source"] == "letters/2025/first.txt in all.zip"
    assert all(one["is_new"] for one in told["data"])
    read_all()
    assert {one["newest"]["status"] for one in ask(client, "GET", "/api/documents")[1]["data"]} == {"ready"}
    found = ask(client, "POST", "/api/collections/handbook/search", {"query": "thank you", "mode": "text"})[1]["results"]
    assert ["Dear Ada" in one["text"] for one in found] == [True]
    assert not any(one["is_new"] for one in send_bytes(client, "all.zip", archive)[1]["data"])
    assert DocumentVersion.objects.count() == 2


@pytest.mark.parametrize(
    ("name", "member", "code"), [("a.zip", "../../etc/passwd", "bad_name"), ("b.zip", "", "damaged"), ("c.zip", "a/", "empty")]
)
def test_of_an_archive_that_can_not_be_trusted_nothing_is_taken(name: str, member: str, code: str) -> None:
    make_collection(name="handbook")
    content = zipped(**{"good.txt": "good", member: "bad"} if code == "bad_name" else {member or "x": ""})
    status, told = send_bytes(make_client(), name, content[:40] if code == "damaged" else content)
    assert (status, told["code"]) == (400, code)
    assert not DocumentVersion.objects.exists()


def test_more_documents_than_are_taken_in_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("apps.knowledge.actions.add_upload"), "_LIMITS", Limits(max_members=2))
    make_collection(name="handbook")
    status, told = send_bytes(make_client(), "all.zip", zipped(a="1", b="2", c="3"))
    assert (status, told["code"]) == (400, "too_many_members")
    assert not DocumentVersion.objects.exists()


def test_a_damaged_office_document_is_refused_by_its_reader() -> None:
    make_collection(name="handbook")
    client = make_client()
    assert send_bytes(client, "letter.docx", zipped(**{"word/document.xml": "<w/>"})[:60])[0] == 201
    read_all()
    assert ask(client, "GET", "/api/documents")[1]["data"][0]["newest"]["status"] == "refused"


def test_a_collection_is_described_anew_and_deleted_by_its_name() -> None:
    client = make_client("acme")
    path = "/api/collections/" + client.post("/api/collections", {"name": "old"}, "application/json").json()["id"]
    assert client.patch(path, {"description": "Rules."}, "application/json").json()["description"] == "Rules."
    assert client.patch(path, {}, "application/json").json()["description"] == "Rules."
    assert AuditEntry.objects.filter(verb="changed", object_type="collection").count() == 1
    refused = client.delete(path)
    assert (refused.status_code, refused.json()["param"]) == (400, "name")
    assert client.delete(path, query_params={"name": "old"}).status_code == 204
    assert client.get(path).status_code == 404
    assert client.get("/api/collections").json()["data"] == []
