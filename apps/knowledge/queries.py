"""Find collections, documents and snapshots, and read what a document says."""

from collections.abc import Collection as Collected
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, OuterRef, Prefetch, Q, QuerySet, Subquery

from apps.knowledge.domain.cited import CitedPassage
from apps.knowledge.domain.names import NAME
from apps.knowledge.domain.reading import unpack_sections
from apps.knowledge.domain.sections import BETWEEN_SECTIONS, Section, join_text
from apps.knowledge.models import (
    CHUNK_PREFIX,
    COLLECTION_PREFIX,
    DOCUMENT_PREFIX,
    SNAPSHOT_PREFIX,
    Chunk,
    Collection,
    Document,
    DocumentVersion,
    Pin,
    Snapshot,
    VersionStatus,
)
from apps.lib.http_errors import ApiError
from apps.lib.ids import parse_public_id, public_id
from apps.lib.redis_client import read_figures

# In Redis: how pinning went, since Redis last lost its data.
PIN_COUNTS_KEY = "aiplatform:pins"
_DIGEST_CHARACTERS = 64
_PIN = ("workspace_id", "scope", "state_version", "query_key")


def read_pin_counts() -> dict[str, float]:
    """How often a retrieval was pinned (`won`), came after another search (`lost`), or was pinned before it was asked for (`read`)."""
    return read_figures(PIN_COUNTS_KEY)


def collections_of(workspace_id: UUID) -> QuerySet[Collection]:
    """A workspace's collections."""
    return Collection.objects.filter(workspace_id=workspace_id, deleted_at=None)


def list_collections(workspace_ids: Sequence[UUID]) -> QuerySet[Collection]:
    """Of these workspaces, by name."""
    return Collection.objects.filter(workspace_id__in=workspace_ids).order_by("name", "workspace_id")


def find_collection(*, workspace_id: UUID, name: str) -> Collection:
    """By its public id or its name; ApiError 404 when there is none, told no differently for another workspace's."""
    key = parse_public_id(COLLECTION_PREFIX, name)
    collections = collections_of(workspace_id)
    collection = collections.filter(id=key).first() if key else None
    if collection is None and NAME.fullmatch(name):
        collection = collections.filter(name=name).first()
    if collection is None:
        raise ApiError(404, "not_found", f"No such collection: {name[:100]!r}.")
    return collection


def find_shown_collection(*, workspace_ids: Sequence[UUID] | None, collection_id: UUID) -> Collection | None:
    """One of these workspaces', of all when None."""
    collections = Collection.objects.filter(deleted_at=None)
    if workspace_ids is not None:
        collections = collections.filter(workspace_id__in=workspace_ids)
    return collections.filter(id=collection_id).first()


def documents_of(workspace_id: UUID) -> QuerySet[Document]:
    """A workspace's documents that were not deleted, each with its newest version as `newest`, a list of one."""
    newest = DocumentVersion.objects.defer("content").order_by("document_id", "-number").distinct("document_id")
    status = DocumentVersion.objects.filter(document=OuterRef("pk")).order_by("-number").values("status")[:1]
    documents = Document.objects.filter(collection__workspace_id=workspace_id, deleted_at=None)
    return (
        documents.select_related("collection")
        .alias(newest_status=Subquery(status))
        .prefetch_related(Prefetch("versions", newest, "newest"))
    )


def find_document(*, workspace_id: UUID, public_id: str) -> Document:
    """ApiError 404 when there is none, or it was deleted."""
    key = parse_public_id(DOCUMENT_PREFIX, public_id)
    document = documents_of(workspace_id).filter(id=key).first() if key else None
    if document is None:
        raise ApiError(404, "not_found", f"No such document: {public_id[:100]!r}.")
    return document


def versions_of(document_id: UUID) -> QuerySet[DocumentVersion]:
    """A document's versions without what they say."""
    return DocumentVersion.objects.filter(document_id=document_id).select_related("document").defer("content")


def find_version(*, document: Document, number: int | None) -> DocumentVersion:
    """With what it says: of that number, else the one that searches find, else the newest; ApiError 404 when there is none."""
    versions = DocumentVersion.objects.filter(document=document).order_by("-number")
    wanted = number if number is not None else document.current_number
    version = (versions if wanted is None else versions.filter(number=wanted)).first()
    if version is None:
        raise ApiError(404, "not_found", f"The document {document.name[:100]!r} has no version {number}.")
    return version


@dataclass(frozen=True, slots=True)
class PlacedSection:
    """A section with its place in the document's plain text."""

    start: int
    end: int
    section: Section


def place_sections(version: DocumentVersion) -> list[PlacedSection]:
    """What a version says, in order; nothing while it is not ready."""
    placed, start = [], 0
    for section in unpack_sections(bytes(version.content)) if version.content else []:
        placed.append(PlacedSection(start, start + len(section.text), section))
        start += len(section.text) + len(BETWEEN_SECTIONS)
    return placed


def cut_text(placed: list[PlacedSection], *, offset: int, limit: int) -> tuple[str, list[PlacedSection]]:
    """The plain text from `offset` on, at most `limit` characters, and the sections that stand in it."""
    gap = len(BETWEEN_SECTIONS)
    near = [one for one in placed if one.start - gap < offset + limit and one.end + gap > offset]
    if not near:
        return "", []
    begin = offset - near[0].start
    text = BETWEEN_SECTIONS.join(one.section.text for one in near)[begin : begin + limit]
    return text, [one for one in near if one.start < offset + limit and one.end > offset]


@dataclass(frozen=True, slots=True)
class NewestVersion:
    """Which version of a document is its newest, whatever became of it."""

    document_id: UUID
    version_id: UUID
    number: int
    name: str


def list_newest(
    collection_id: UUID,
    *,
    document_ids: Sequence[UUID] | None = None,
    metadata: Mapping[str, str] | None = None,
    most: int | None = None,
) -> list[NewestVersion]:
    """Of a collection's documents that were not deleted, in the order that they came: of all, or those with these ids or this metadata."""
    versions = DocumentVersion.objects.filter(document__collection_id=collection_id, document__deleted_at=None)
    if document_ids is not None:
        versions = versions.filter(document_id__in=document_ids)
    if metadata:
        versions = versions.filter(document__metadata__contains=dict(metadata))
    newest = versions.order_by("document_id", "-number").distinct("document_id")
    return [NewestVersion(*row) for row in newest.values_list("document_id", "id", "number", "document__name")[:most]]


def find_revision(collection_id: UUID) -> int | None:
    """Up to where a collection has come; None when it is gone."""
    return Collection.objects.filter(id=collection_id).values_list("revision", flat=True).first()


def versions_at(collection_id: UUID, revision: int) -> QuerySet[DocumentVersion]:
    """What searches find at a revision."""
    there = Q(from_revision__lte=revision) & (Q(to_revision=None) | Q(to_revision__gt=revision))
    return DocumentVersion.objects.filter(there, document__collection_id=collection_id)


def documents_at(collection_id: UUID, revision: int) -> set[UUID]:
    """Those that searches find something of."""
    return set(versions_at(collection_id, revision).values_list("document_id", flat=True))


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """What became of a version; `characters` of its text; the revision of its collection from which on searches find it, if they do."""

    status: str
    refusal_code: str
    refusal_message: str
    characters: int
    from_revision: int | None

    @property
    def is_pending(self) -> bool:
        """Waited for. What could not be embedded is not: somebody has to see to that first."""
        return self.status == VersionStatus.PENDING and not self.refusal_code

    @property
    def is_refused(self) -> bool:
        return self.status == VersionStatus.REFUSED or (self.status == VersionStatus.PENDING and bool(self.refusal_code))


def read_version_facts(version_ids: Sequence[UUID]) -> dict[UUID, VersionFacts]:
    """By id; what is gone is left out."""
    rows = DocumentVersion.objects.filter(id__in=version_ids)
    columns = rows.values_list("id", "status", "refusal_code", "refusal_message", "characters", "from_revision")
    return {row[0]: VersionFacts(row[1], row[2], row[3], row[4] or 0, row[5]) for row in columns}


def read_sections(version_ids: Sequence[UUID]) -> dict[UUID, list[Section]]:
    """What versions say, by id; those that are not ready or gone are left out."""
    rows = DocumentVersion.objects.filter(id__in=version_ids, content__isnull=False).values_list("id", "content")
    return {key: unpack_sections(bytes(content)) for key, content in rows if content is not None}


def chunks_of(version_id: UUID) -> QuerySet[Chunk]:
    """In the order of the text, without what they are found by."""
    return Chunk.objects.filter(version_id=version_id).defer("words", "embedding").order_by("position")


def find_snapshot(*, workspace_id: UUID, public_id: str) -> Snapshot:
    """ApiError 404 when there is none."""
    key = public_id.removeprefix(SNAPSHOT_PREFIX)
    is_id = public_id.startswith(SNAPSHOT_PREFIX) and len(key) == _DIGEST_CHARACTERS and key.isascii() and key.isalnum()
    snapshot = Snapshot.objects.filter(workspace_id=workspace_id, id=key).first() if is_id else None
    if snapshot is None:
        raise ApiError(404, "not_found", f"No such snapshot: {public_id[:100]!r}.")
    return snapshot


def read_passages(snapshot: Snapshot) -> dict[UUID, Chunk]:
    """The chunks that a snapshot cites, with their documents' names, by id."""
    ids = [UUID(result["chunk"]) for result in snapshot.results]
    return {chunk.id: chunk for chunk in Chunk.objects.filter(id__in=ids).select_related("document").defer("words", "embedding")}


def list_passages(snapshot: Snapshot) -> list[CitedPassage]:
    """The same in their order, without those that are gone: a number is the place in the snapshot, whatever has gone since."""
    return _number(snapshot, read_passages(snapshot))


def present_snapshot(snapshot: Snapshot) -> dict[str, Any]:
    """As callers see it: with public ids, and the texts of its passages; null for those whose document was deleted."""
    passages = read_passages(snapshot)
    names = _names(snapshot)
    told = {name: snapshot.content[name] for name in ("revision", "query", "mode", "top_k", "embedder")}
    return told | {
        "id": snapshot.public_id,
        "collection": public_id(COLLECTION_PREFIX, snapshot.collection_id),
        "results": [_present(result, passages.get(UUID(result["chunk"])), names) for result in snapshot.results],
        "created_at": snapshot.created_at,
    }


def _names(snapshot: Snapshot) -> dict[UUID, str]:
    """Of the documents that it cites, deleted ones too."""
    ids = {UUID(result["document"]) for result in snapshot.results}
    return dict(Document.objects.filter(id__in=ids).values_list("id", "name"))


def _present(result: dict[str, Any], chunk: Chunk | None, names: Mapping[UUID, str]) -> dict[str, Any]:
    document_id = UUID(result["document"])
    return result | {
        "chunk": public_id(CHUNK_PREFIX, UUID(result["chunk"])),
        "document": public_id(DOCUMENT_PREFIX, document_id),
        "document_name": names.get(document_id, ""),
        "heading": chunk.heading if chunk else "",
        "start": chunk.start if chunk else None,
        "end": chunk.end if chunk else None,
        "text": chunk.text if chunk else None,
    }


def awaits_vectors() -> bool:
    """Whether a version was read and is not found yet."""
    return DocumentVersion.objects.filter(status=VersionStatus.PENDING, read_at__isnull=False).exists()


def read_cited(workspace_id: UUID, snapshot_ids: Sequence[str]) -> dict[str, list[CitedPassage]]:
    """The passages of these snapshots of a workspace, by snapshot, in their order; what is gone is left out."""
    snapshots = list(Snapshot.objects.filter(workspace_id=workspace_id, id__in=set(snapshot_ids)))
    wanted = {UUID(result["chunk"]) for snapshot in snapshots for result in snapshot.results}
    rows = Chunk.objects.filter(id__in=wanted).select_related("document").defer("words", "embedding")
    chunks = {chunk.id: chunk for chunk in rows}
    return {snapshot.id: _number(snapshot, chunks) for snapshot in snapshots}


def _number(snapshot: Snapshot, chunks: Mapping[UUID, Chunk]) -> list[CitedPassage]:
    return [
        _cited(number, chunks[UUID(result["chunk"])], result["version"])
        for number, result in enumerate(snapshot.results, start=1)
        if UUID(result["chunk"]) in chunks
    ]


def _cited(number: int, chunk: Chunk, version: int) -> CitedPassage:
    return CitedPassage(
        number=number,
        chunk_id=chunk.id,
        document_id=chunk.document_id,
        document=chunk.document.name,
        version_id=chunk.version_id,
        version=version,
        anchor=chunk.anchor,
        start=chunk.start,
        end=chunk.end,
        text=chunk.text,
    )


def read_plain_text(version_id: UUID) -> str:
    """What a version says, as one text: what passages and citations count in. Empty when it is not ready, or gone."""
    return join_text(read_sections([version_id]).get(version_id, []))


@dataclass(frozen=True, slots=True)
class Statuses:
    """How many of a collection's documents have a newest version that waits, is found, or was refused."""

    pending: int
    ready: int
    refused: int

    @property
    def ended(self) -> int:
        return self.ready + self.refused

    @property
    def all(self) -> int:
        return self.ended + self.pending

    @property
    def ready_percent(self) -> float:
        return 100 * self.ready / max(self.all, 1)

    @property
    def refused_percent(self) -> float:
        return 100 * self.refused / max(self.all, 1)


def count_statuses(collection_id: UUID) -> Statuses:
    """For a page that tells how far the reading is."""
    newest = DocumentVersion.objects.filter(document=OuterRef("pk")).order_by("-number").values("status")[:1]
    documents = Document.objects.filter(collection_id=collection_id, deleted_at=None).annotate(newest_status=Subquery(newest))
    counted = dict(documents.values_list("newest_status").annotate(number=Count("pk")))
    return Statuses(pending=counted.get("pending", 0), ready=counted.get("ready", 0), refused=counted.get("refused", 0))


def find_pinned_ids(pins: Collected[tuple[UUID, str, int, str]]) -> dict[tuple[UUID, str, int, str], str]:
    """The snapshots of those pins that there are, each named by its workspace, scope, version of the state and key of the question."""
    rows = Pin.objects.filter(workspace_id__in={pin[0] for pin in pins}, scope__in={pin[1] for pin in pins})
    found = {(row[0], row[1], row[2], row[3]): row[4] for row in rows.values_list(*_PIN, "snapshot_id")}
    return {pin: found[pin] for pin in pins if pin in found}
