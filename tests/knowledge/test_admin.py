"""Documents in the back office: uploaded, watched, searched, read, deleted."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from apps.accounts.models import Role
from apps.knowledge.actions import extract_document
from apps.knowledge.models import Collection, Document, DocumentVersion
from tests.factories.accounts import make_office_client, make_user, make_workspace
from tests.factories.knowledge import make_collection, make_document

pytestmark = pytest.mark.django_db


def page(client: Client, name: str, row: Any, **query: str) -> str:
    answer = client.get(reverse(f"admin:knowledge_{name}", args=[row.pk]), query)
    assert answer.status_code == 200
    return answer.content.decode()


def search_page(client: Client, collection: Collection, **query: str) -> str:
    return client.get(reverse("admin:jobs_job_search", args=[collection.pk]), query).content.decode()


def test_a_member_makes_a_collection_uploads_watches_searches_and_reads() -> None:
    workspace = make_workspace()
    client = make_office_client(make_user("mia", acme=Role.MEMBER))
    made = client.post(
        reverse("admin:knowledge_collection_add"),
        {
            "workspace": workspace.pk,
            "name": "handbook",
            "language": "english",
            "description": "",
            "embedder": "wordllama-256",
            "dimensions": 256,
        },
    )
    collection = Collection.objects.get()
    upload = reverse("admin:knowledge_collection_upload", args=[collection.pk])
    assert made.headers["Location"] == upload
    files = [
        SimpleUploadedFile("refunds.txt", b"Money is paid back within fourteen days."),
        SimpleUploadedFile("bad.txt", b"\x00\x01" * 99),
    ]
    told = client.post(upload, {"documents": files}, follow=True)
    assert "2 of 2 taken in" in told.content.decode()
    assert told.headers["Refresh"] == "5"
    for version_id in DocumentVersion.objects.values_list("id", flat=True):
        extract_document(version_id=version_id)
    done = client.get(reverse("admin:knowledge_collection_change", args=[collection.pk]))
    assert "Refresh" not in done.headers
    refused = DocumentVersion.objects.get(status="refused")
    assert refused.refusal_message[:40] in done.content.decode()
    found = search_page(client, collection, query="when is money paid back")
    assert "fourteen days" in found
    assert "Frozen as <code>snap_" in found
    assert "there is no 9 yet" in search_page(client, collection, query="money", as_of="9")
    document = Document.objects.get(name="refunds.txt")
    assert "fourteen days" in page(client, "document_change", document)
    assert "Refused" in page(client, "document_change", refused.document)
    client.post(reverse("admin:knowledge_document_discard", args=[document.pk]), {"reason": "old"})
    assert "Nothing was found" in search_page(client, collection, query="fourteen days", mode="text")


def test_older_versions_are_read_and_unknown_ones_are_not_there() -> None:
    collection = make_collection()
    make_document("The first text.", collection=collection)
    document = make_document("The second text.", collection=collection).document
    client = make_office_client()
    assert "The first text." in page(client, "document_change", document, version="1")
    assert "The second text." in page(client, "document_change", document)
    assert client.get(reverse("admin:knowledge_document_change", args=[document.pk]), {"version": "3"}).status_code == 404


def test_a_viewer_looks_and_searches_and_changes_nothing() -> None:
    document = make_document("Money is paid back.").document
    client = make_office_client(make_user("vera", acme=Role.VIEWER))
    assert "Upload documents" not in page(client, "collection_change", document.collection)
    assert "Money is paid back" in search_page(client, document.collection, query="money")
    for name, row in (("collection_upload", document.collection), ("document_discard", document)):
        told = client.post(reverse(f"admin:knowledge_{name}", args=[row.pk]), follow=True)
        assert "your role lets you look" in told.content.decode()
    assert Document.objects.get().deleted_at is None
