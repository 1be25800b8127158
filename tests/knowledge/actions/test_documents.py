"""Documents come in, are read once, take each other's place, and go."""

import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import IO, Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import AuditEntry
from apps.files.models import File
from apps.knowledge.actions import (
    PinTo,
    add_document,
    add_upload,
    delete_collection,
    delete_document,
    extract_document,
    forget_deleted,
    search_collection,
    sweep_documents,
)
from apps.knowledge.actions.hold_version import ClaimLostError, hold_version, refuse_version
from apps.knowledge.actions.publish_reading import Reading, publish_reading
from apps.knowledge.actions.store_chunks import store_chunks
from apps.knowledge.adapters import local_embedder
from apps.knowledge.domain.chunks import Piece
from apps.knowledge.domain.request import Mode, SearchRequest
from apps.knowledge.models import Chunk, Collection, Document, DocumentVersion, Snapshot, VersionStatus
from apps.knowledge.queries import collections_of, place_sections, present_snapshot
from apps.lib.http_errors import ApiError
from tests.factories.files import stored_names
from tests.factories.knowledge import make_collection, make_document, upload
from tests.knowledge.extraction.made import archive
from tests.locks import wait_until_one_waits

pytestmark = pytest.mark.django_db

REFUNDS = "Refunds\n\nMoney is paid back within fourteen days of the return.\n"


def test_a_text_is_read_cut_and_published() -> None:
    version = make_document(REFUNDS)
    collection = version.document.collection
    assert (version.status, version.number, version.media_type, version.pages) == (VersionStatus.READY, 1, "text/plain", 1)
    assert (version.from_revision, version.to_revision, version.claim_id) == (1, None, None)
    assert (collection.revision, collection.chunk_count, version.document.current_number) == (1, version.chunk_count, 1)
    (chunk,) = Chunk.objects.filter(version=version)
    assert "fourteen days" in chunk.text
    text = "\n\n".join(one.section.text for one in place_sections(version))
    assert (text[chunk.start : chunk.end], version.characters) == (chunk.text, len(text))
    assert len(chunk.embedding) == collection.dimensions == local_embedder.DIMENSIONS


def test_reading_it_again_does_nothing() -> None:
    version = make_document(REFUNDS)
    ids = set(Chunk.objects.values_list("id", flat=True))
    assert extract_document(version_id=version.id) == ""
    assert set(Chunk.objects.values_list("id", flat=True)) == ids


def test_the_same_bytes_under_the_same_name_change_nothing() -> None:
    collection = make_collection()
    first = upload(REFUNDS, collection=collection)
    again = upload(REFUNDS, collection=collection)
    assert (again.is_new, again.version.id, again.document.id) == (False, first.version.id, first.document.id)
    extract_document(version_id=first.version.id)
    assert not upload(REFUNDS, collection=collection).is_new
    assert (DocumentVersion.objects.count(), File.objects.present().count()) == (1, 1)


def test_the_same_bytes_under_another_name_are_not_read_again() -> None:
    collection = make_collection()
    first = make_document(REFUNDS, collection=collection)
    second = upload(REFUNDS, collection=collection, name="copy.txt").version
    # Whoever reads them now finds nothing.
    File.objects.filter(id=second.file_id).update(deleted_at=timezone.now())
    extract_document(version_id=second.id)
    second.refresh_from_db()
    assert (second.status, second.chunk_count, bytes(second.content or b"")) == ("ready", first.chunk_count, bytes(first.content or b""))
    told = [list(Chunk.objects.filter(version=one).values_list("text", "words", "position")) for one in (first, second)]
    assert told[0] == told[1]
    assert Chunk.objects.filter(version=second, document=second.document).count() == first.chunk_count


def test_a_new_version_takes_the_place_of_the_one_before() -> None:
    collection = make_collection()
    first = make_document(REFUNDS, collection=collection)
    second = make_document(REFUNDS.replace("fourteen", "thirty"), collection=collection)
    first.refresh_from_db()
    collection.refresh_from_db()
    assert (second.document_id, second.number) == (first.document_id, 2)
    assert (first.from_revision, first.to_revision, second.from_revision, second.to_revision) == (1, 2, 2, None)
    assert (collection.revision, collection.chunk_count, second.document.current_number) == (2, second.chunk_count, 2)


def test_a_version_that_is_read_after_a_newer_one_is_never_found() -> None:
    collection = make_collection()
    first = upload(REFUNDS, collection=collection)
    second = make_document(REFUNDS + "More.", collection=collection)
    extract_document(version_id=first.version.id)
    late = DocumentVersion.objects.get(id=first.version.id)
    collection.refresh_from_db()
    assert (late.status, late.from_revision == late.to_revision, collection.revision) == ("ready", True, 1)
    assert (collection.chunk_count, Document.objects.get().current_number) == (second.chunk_count, 2)


def test_a_deleted_document_ends_and_its_name_is_free() -> None:
    collection = make_collection()
    version = make_document(REFUNDS, collection=collection)
    assert delete_document(document_id=version.document_id, now=timezone.now())
    assert not delete_document(document_id=version.document_id, now=timezone.now())
    version.refresh_from_db()
    collection.refresh_from_db()
    assert (version.to_revision, collection.revision, collection.chunk_count) == (2, 2, 0)
    assert not File.objects.present().exists()
    assert make_document(REFUNDS, collection=collection).document_id != version.document_id


def test_what_a_deleted_document_said_is_forgotten_but_for_what_a_kept_answer_cites() -> None:
    collection = make_collection()
    cited, other = (
        make_document(text, collection=collection, name=name, team="a") for text, name in ((REFUNDS, "a.txt"), ("Rain.", "b.txt"))
    )
    request = SearchRequest(query="money", mode=Mode.TEXT)
    search_collection(collection_id=collection.id, request=SearchRequest(query="rain", mode=Mode.TEXT))
    pinned = search_collection(collection_id=collection.id, request=request, pin_to=PinTo("job", 0))
    for version in (cited, other):
        delete_document(document_id=version.document_id, now=timezone.now())
    assert forget_deleted(now=timezone.now()) == 1
    (kept,) = Chunk.objects.all()
    assert (kept.version_id, present_snapshot(pinned)["results"][0]["text"]) == (cited.id, kept.text)
    assert not DocumentVersion.objects.exclude(content=None).exists()
    assert [document.metadata for document in Document.objects.all()] == [{}, {}]
    # Once answers of that age are forgotten, so is what they cite; the snapshot keeps the places.
    later = timezone.now() + timedelta(days=91)
    assert forget_deleted(now=later) == 1
    assert not Chunk.objects.exists()
    told = present_snapshot(pinned)["results"][0]
    assert (told["text"], told["document_name"], told["anchor"]) == (None, "a.txt", kept.anchor)
    assert forget_deleted(now=later) == 0


def test_a_document_that_is_deleted_while_it_is_read_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    added = upload(REFUNDS)
    reading = sys.modules["apps.knowledge.actions.extract_document"]

    def late(*values: Any, **more: Any) -> Any:
        delete_document(document_id=added.document.id, now=timezone.now())
        return extract(*values, **more)

    extract = reading.extract
    monkeypatch.setattr(reading, "extract", late)
    assert extract_document(version_id=added.version.id) == ""
    assert (DocumentVersion.objects.get().refusal_code, Chunk.objects.count()) == ("deleted", 0)


def test_while_a_document_or_an_archive_is_read_no_name_on_the_disk_leads_to_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """So that nothing can be left, whatever ends the process."""
    reading, uploading = (sys.modules[f"apps.knowledge.actions.{name}"] for name in ("extract_document", "add_upload"))
    extract, unpack = reading.extract, uploading.unpack
    there: list[tuple[int, list[Path]]] = []

    def look(file: IO[bytes], act: Callable[..., Any], **values: Any) -> Any:
        there.append((os.fstat(file.fileno()).st_size, list(tmp_path.iterdir())))
        return act(file, **values)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(reading, "extract", partial(look, act=extract))
    monkeypatch.setattr(uploading, "unpack", partial(look, act=unpack))
    content = archive(("rules.txt", REFUNDS.encode()))
    (added,) = add_upload(
        collection_id=make_collection().id, api_key_id=None, upload=SimpleUploadedFile("all.zip", content), now=timezone.now()
    )
    assert extract_document(version_id=added.version.id) == "ready"
    assert there == [(len(content), []), (len(REFUNDS), [])]


def test_a_deleted_collection_goes_with_everything_once_its_name_was_written() -> None:
    collection = make_collection()
    make_document(REFUNDS, collection=collection, name="a.txt")
    upload("Waiting.", collection=collection, name="b.txt")
    search_collection(collection_id=collection.id, request=SearchRequest(query="money"), pin_to=PinTo("job", 0))
    values = {"collection_id": collection.id, "now": timezone.now(), "reason": "old"}
    with pytest.raises(ApiError, match="write its name: handbook"):
        delete_collection(**values, name="handbok")
    assert delete_collection(**values, name="handbook") == 2
    with pytest.raises(ApiError, match="gone already"):
        delete_collection(**values, name="handbook")
    told = AuditEntry.objects.get(verb="deleted", object_type="collection")
    assert (told.object_label, told.reason, told.changes["documents"]["before"]) == ("handbook", "old", 2)
    assert not collections_of(collection.workspace_id).exists()
    assert make_collection(collection.workspace).name == "handbook"
    forget_deleted(now=timezone.now())
    assert not File.objects.present().exists()
    assert Chunk.objects.count() == Snapshot.objects.count() == 1
    forget_deleted(now=timezone.now() + timedelta(days=91))
    assert (Chunk.objects.count(), Document.objects.count(), Snapshot.objects.count(), Collection.objects.count()) == (0, 0, 0, 1)


def test_what_cannot_be_read_is_refused_with_its_reason_and_tried_again_when_it_comes_again() -> None:
    collection = make_collection()
    refused = make_document(b"\x00\x01\x02" * 50, collection=collection, name="a.txt")
    assert (refused.status, bool(refused.refusal_code), bool(refused.refusal_message)) == ("refused", True, True)
    collection.refresh_from_db()
    assert (collection.revision, Chunk.objects.count()) == (0, 0)
    assert upload(b"\x00\x01\x02" * 50, collection=collection, name="a.txt").is_new


def test_a_file_that_was_deleted_before_it_was_read_is_refused() -> None:
    added = upload(REFUNDS)
    File.objects.update(deleted_at=timezone.now())
    extract_document(version_id=added.version.id)
    version = DocumentVersion.objects.get()
    assert (version.status, version.refusal_code) == ("refused", "file_gone")


def lapse(version_id: object, **values: object) -> None:
    """Somebody claimed it, and was lost."""
    long_ago = timezone.now() - timedelta(hours=1)
    claimed = {"claim_id": version_id, "lease_until": long_ago, "rung_at": long_ago}
    DocumentVersion.objects.filter(id=version_id).update(**claimed | values)


def test_one_reader_holds_a_version_and_a_lost_one_is_followed() -> None:
    added = upload(REFUNDS)
    lapse(added.version.id, lease_until=timezone.now() + timedelta(minutes=5))
    assert extract_document(version_id=added.version.id) == ""
    lapse(added.version.id)
    assert extract_document(version_id=added.version.id) == "ready"
    assert DocumentVersion.objects.get().losses == 1


def test_a_reader_that_was_overtaken_writes_nothing() -> None:
    added = upload(REFUNDS)
    with hold_version(added.version.id) as late:
        assert late is not None
        lapse(added.version.id)
        assert extract_document(version_id=added.version.id) == "ready"
        before = list(DocumentVersion.objects.values()), list(Chunk.objects.order_by("id").values_list("id", "text"))
        told = {"media_type": "text/plain", "title": "late", "language": "", "pages": 9, "characters": 4, "chunk_count": 1, "content": b""}
        for write in (
            lambda: store_chunks(late, added.version, [Piece(0, "late", "", "", 0, 4)]),
            lambda: publish_reading(late, Reading(**told)),
            lambda: refuse_version(late, code="empty", message="late"),
        ):
            with pytest.raises(ClaimLostError):
                write()
    assert (list(DocumentVersion.objects.values()), list(Chunk.objects.order_by("id").values_list("id", "text"))) == before


def test_what_loses_its_readers_again_and_again_is_refused() -> None:
    added = upload(REFUNDS)
    lapse(added.version.id, losses=2)
    assert extract_document(version_id=added.version.id) == "refused"
    version = DocumentVersion.objects.get()
    assert (version.refusal_code, version.losses, "3 times" in version.refusal_message) == ("poison", 3, True)


def test_the_sweep_rings_for_what_waits_too_long_and_not_for_the_rest() -> None:
    collection = make_collection()
    fresh, waiting, lost = (upload(REFUNDS + name, collection=collection, name=name).version for name in ("a.txt", "b.txt", "c.txt"))
    DocumentVersion.objects.filter(id=waiting.id).update(rung_at=timezone.now() - timedelta(minutes=6))
    lapse(lost.id)
    assert sweep_documents() == 2
    assert sweep_documents() == 0
    assert DocumentVersion.objects.get(id=fresh.id).rung_at == fresh.rung_at


def test_chunks_never_change() -> None:
    make_document(REFUNDS)
    with pytest.raises(IntegrityError, match="rows of knowledge_chunk never change"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE knowledge_chunk SET text = 'other'")


class Watched(SimpleUploadedFile):
    """Notes how many locks had been asked for each time when it was read."""

    def __init__(self, name: str, content: bytes) -> None:
        super().__init__(name, content)
        self.locks: list[int] = []

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        self.locks.append(sum("FOR NO KEY UPDATE" in query["sql"] for query in connection.queries))
        return super().chunks(chunk_size)


def test_an_upload_is_read_before_the_collection_is_locked() -> None:
    collection = make_collection()
    content = Watched("rules.txt", REFUNDS.encode())
    connection.queries_log.clear()
    with CaptureQueriesContext(connection):
        add_document(collection_id=collection.id, api_key_id=None, filename="rules.txt", content=content, now=timezone.now())
    # The second time it goes to the storage, between the two looks at what the collection has.
    assert content.locks == [0, 1]


@pytest.mark.django_db(transaction=True)
def test_file_and_version_are_there_at_one_moment_so_that_a_kill_between_leaves_no_file() -> None:
    collection, before = make_collection(), set(stored_names())

    def add() -> None:
        try:
            add_document(
                collection_id=collection.id, api_key_id=None, filename="rules.txt", content=io.BytesIO(b"Rules"), now=timezone.now()
            )
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as thread:
        with transaction.atomic():
            Collection.objects.select_for_update().get(id=collection.id)
            adding = thread.submit(add)
            # Its bytes are stored by now.
            wait_until_one_waits(unless=adding.done)
            assert (len(set(stored_names()) - before), File.objects.count()) == (1, 0)
        adding.result()
    assert DocumentVersion.objects.get().file == File.objects.get()


def test_what_cannot_be_recorded_leaves_neither_bytes_nor_rows() -> None:
    collection, before = make_collection(), stored_names()
    Collection.objects.filter(id=collection.id).update(deleted_at=timezone.now())
    with pytest.raises(ApiError):
        add_document(collection_id=collection.id, api_key_id=None, filename="rules.txt", content=io.BytesIO(b"Rules"), now=timezone.now())
    assert (stored_names(), File.objects.count(), DocumentVersion.objects.count()) == (before, 0, 0)
