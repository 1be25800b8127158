"""What we know: collections of documents, their versions and chunks, and what searches found, frozen.

A version is there for searches from `from_revision` of its collection until before `to_revision`. One row changes when a version takes the
place of another, whatever the number of its chunks; older revisions stay searchable.
"""

from typing import Any

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.search import SearchVectorField
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Cast, Now
from django.db.models.lookups import Exact
from pgvector.django import HnswIndex, VectorField

from apps.knowledge.domain.embedders import DIMENSIONS, LOCAL, LOCAL_DIMENSIONS
from apps.knowledge.domain.names import LANGUAGES, NAME, NAME_RULE
from apps.lib.ids import public_id, uuid7
from apps.lib.vector_extension import VectorDims

COLLECTION_PREFIX = "col_"
DOCUMENT_PREFIX = "doc_"
CHUNK_PREFIX = "chunk_"
SNAPSHOT_PREFIX = "snap_"


def _graph(dimensions: int) -> HnswIndex:
    """Vectors of different lengths can't be compared: each length has a graph of its own."""
    return HnswIndex(
        OpClass(Cast("embedding", VectorField(dimensions=dimensions)), "vector_ip_ops"),
        name=f"knowledge_chunk_graph_{dimensions}",
        condition=models.Q(Exact(VectorDims("embedding"), dimensions)),
        m=16,
        ef_construction=64,
    )


class Collection(models.Model):
    """Documents that are searched together. `revision` is counted up by each change of what there is to be found."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.CASCADE, related_name="collections", db_index=False)
    name = models.CharField(
        max_length=50,
        validators=[RegexValidator(rf"\A{NAME.pattern}\Z", NAME_RULE)],
        help_text="What requests call it by: small letters, digits, '.', '_' and '-'.",
    )
    description = models.CharField(max_length=500, blank=True, default="", help_text="What it is for.")
    language = models.CharField(
        max_length=20,
        choices=[(name, name.capitalize()) for name in LANGUAGES],
        default="simple",
        help_text="For the search by words: 'simple' takes each word as it is, the others know its forms. It can't be changed.",
    )
    # Fixed once there are chunks: vectors of two embedders can't be compared.
    embedder = models.CharField(
        max_length=200,
        default=LOCAL,
        help_text="Who makes its vectors: the model that ships with the platform and costs nothing, or a provider's. It can't be changed.",
    )
    dimensions = models.PositiveIntegerField(
        default=LOCAL_DIMENSIONS,
        choices=[(number, str(number)) for number in DIMENSIONS],
        help_text="How many numbers a vector has; longer ones of the model are cut. It can't be changed.",
    )
    revision = models.BigIntegerField(default=0, editable=False)
    chunk_count = models.BigIntegerField("chunks", default=0, editable=False, help_text="Of the versions that searches find now.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "name"], name="knowledge_collection_name")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_local(self) -> bool:
        """Whether its vectors are made here, without a provider."""
        return self.embedder == LOCAL

    @property
    def public_id(self) -> str:
        return public_id(COLLECTION_PREFIX, self.id)


class Document(models.Model):
    """A name in a collection, with its versions. A deleted one keeps its row for the snapshots that cite it, and loses its text."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    collection = models.ForeignKey("knowledge.Collection", on_delete=models.CASCADE, related_name="documents", db_index=False)
    name = models.CharField(max_length=255)
    source = models.CharField(max_length=500, blank=True, default="", help_text="Where it came from.")
    metadata = models.JSONField(default=dict, blank=True, help_text="Texts by name; searches can be narrowed by them.")
    current_number = models.PositiveIntegerField("current version", null=True, blank=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    forgotten_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="Since when nothing is left of what it said.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["collection", "name"], condition=models.Q(deleted_at=None), name="knowledge_document_name")
        ]
        indexes = [
            models.Index(fields=["collection", "id"], name="knowledge_document_newest"),
            models.Index(
                fields=["collection"],
                condition=models.Q(deleted_at__isnull=False, forgotten_at=None),
                name="knowledge_document_unforgotten",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def public_id(self) -> str:
        return public_id(DOCUMENT_PREFIX, self.id)


class VersionStatus(models.TextChoices):
    """A version waits to be read, and for its vectors; then searches find it, or it was refused for a reason."""

    PENDING = "pending"
    READY = "ready"
    REFUSED = "refused"


EMBEDDING = "embedding"
STANDINGS = (VersionStatus.PENDING.value, EMBEDDING, VersionStatus.READY.value, VersionStatus.REFUSED.value)


class DocumentVersion(models.Model):
    """The bytes of one upload and what was read of them."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    document = models.ForeignKey("knowledge.Document", on_delete=models.CASCADE, related_name="versions", db_index=False)
    number = models.PositiveIntegerField()
    file = models.ForeignKey("files.File", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    sha256 = models.CharField(max_length=64)
    size_bytes = models.BigIntegerField()
    status = models.CharField(max_length=10, choices=VersionStatus, default=VersionStatus.PENDING)
    refusal_code = models.CharField(max_length=40, blank=True, default="")
    refusal_message = models.CharField(max_length=1000, blank=True, default="")
    media_type = models.CharField(max_length=100, blank=True, default="")
    title = models.CharField(max_length=500, blank=True, default="")
    language = models.CharField(max_length=40, blank=True, default="", help_text="As the document says of itself.")
    pages = models.PositiveIntegerField(null=True, blank=True)
    characters = models.PositiveIntegerField(null=True, blank=True)
    chunk_count = models.PositiveIntegerField("chunks", default=0)
    read_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="Since when it is read and waits for its vectors.")
    # Sections with their places, packed; what is shown of a document, and what offsets of chunks count in.
    content = models.BinaryField(null=True, blank=True, editable=False)
    from_revision = models.BigIntegerField(null=True, blank=True, editable=False)
    to_revision = models.BigIntegerField(null=True, blank=True, editable=False)
    claim_id = models.UUIDField(null=True, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    rung_at = models.DateTimeField(db_default=Now(), editable=False)
    losses = models.PositiveIntegerField(default=0, editable=False, help_text="How often a process was lost that read it.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "document version"
        constraints = [
            models.UniqueConstraint(fields=["document", "number"], name="knowledge_version_number"),
            models.CheckConstraint(condition=models.Q(status__in=VersionStatus.values), name="knowledge_version_status"),
            models.CheckConstraint(
                condition=models.Q(status="ready") ^ models.Q(from_revision=None), name="knowledge_version_ready_has_revision"
            ),
        ]
        indexes = [
            models.Index(fields=["rung_at"], condition=models.Q(status="pending"), name="knowledge_version_pending"),
            models.Index(fields=["sha256"], name="knowledge_version_sha256"),
            models.Index(fields=["file"], name="knowledge_version_file", condition=models.Q(file__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.document.name}, version {self.number}"

    @property
    def standing(self) -> str:
        """Where it stands: its status, or `embedding` while its vectors are made by a provider."""
        return EMBEDDING if self.status == VersionStatus.PENDING and self.read_at else self.status


class Chunk(models.Model):
    """A piece of a version's text, with what it is found by. Written with its version, never changed: citations count on that.

    Only its vector may come later, from a provider: `text_key` says what of, and `item_id` which item of a job asks for it.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    collection = models.ForeignKey("knowledge.Collection", on_delete=models.CASCADE, related_name="chunks", db_index=False)
    document = models.ForeignKey("knowledge.Document", on_delete=models.CASCADE, related_name="chunks", db_index=False)
    version = models.ForeignKey("knowledge.DocumentVersion", on_delete=models.CASCADE, related_name="chunks", db_index=False)
    position = models.PositiveIntegerField()
    anchor = models.CharField(max_length=200, blank=True, default="")
    heading = models.CharField(max_length=500, blank=True, default="")
    start = models.PositiveIntegerField()
    end = models.PositiveIntegerField()
    text = models.TextField()
    words = SearchVectorField()
    embedding = VectorField(null=True)
    text_key = models.UUIDField(null=True, editable=False, help_text="The same for the same text of a workspace and an embedder.")
    item_id = models.UUIDField(null=True, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "position"], name="knowledge_chunk_position")]
        indexes = [
            models.Index(fields=["collection", "document"], name="knowledge_chunk_by_document"),
            models.Index(fields=["document"], name="knowledge_chunk_document"),
            GinIndex(fields=["words"], name="knowledge_chunk_words", fastupdate=False),
            *map(_graph, DIMENSIONS),
            models.Index(fields=["text_key"], condition=models.Q(text_key__isnull=False), name="knowledge_chunk_text"),
            # Those that wait for their vectors: to be asked for, and by whom they are.
            models.Index(fields=["collection"], condition=models.Q(embedding=None, item_id=None), name="knowledge_chunk_unasked"),
            models.Index(fields=["item_id"], condition=models.Q(embedding=None, item_id__isnull=False), name="knowledge_chunk_awaited"),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return public_id(CHUNK_PREFIX, self.id)


class Snapshot(models.Model):
    """What one search found, frozen: the id is the SHA-256 over the canonical result. A trigger refuses changes."""

    id = models.CharField(primary_key=True, max_length=64, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.CASCADE, related_name="+")
    collection = models.ForeignKey("knowledge.Collection", on_delete=models.CASCADE, related_name="snapshots")
    revision = models.BigIntegerField()
    query = models.TextField()
    content = models.JSONField(help_text="The canonical result that the id is of.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return f"{SNAPSHOT_PREFIX}{self.id}"

    @property
    def results(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.content["results"]
        return found


class Pin(models.Model):
    """Which snapshot a state has for a query: the first that was pinned; whoever comes later reads that one."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", on_delete=models.CASCADE, related_name="+", db_index=False)
    scope = models.CharField(max_length=100)
    state_version = models.BigIntegerField()
    query_key = models.CharField(max_length=64)
    snapshot = models.ForeignKey("knowledge.Snapshot", on_delete=models.CASCADE, related_name="pins")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "scope", "state_version", "query_key"], name="knowledge_pin_state"),
        ]

    def __str__(self) -> str:
        return f"{self.scope}@{self.state_version}"
