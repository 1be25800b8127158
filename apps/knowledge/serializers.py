"""Collections, documents and what searches found, at the HTTP edge."""

from typing import Any

from django.core.validators import RegexValidator
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.knowledge.domain.embedders import DIMENSIONS, LOCAL
from apps.knowledge.domain.names import LANGUAGES, LONGEST_VALUE, NAME, NAME_RULE
from apps.knowledge.models import (
    COLLECTION_PREFIX,
    STANDINGS,
    Collection,
    Document,
    DocumentVersion,
)
from apps.lib.ids import public_id
from apps.lib.strict_fields import BlankTextField, TextField, WholeField

_MOST_REVISION = 2**53


class CollectionSerializer(serializers.ModelSerializer[Collection]):
    """Documents that are searched together. `revision` is counted up by each change of what there is to be found."""

    id = serializers.CharField(source="public_id", read_only=True)
    chunks = serializers.IntegerField(source="chunk_count", read_only=True)

    class Meta:
        model = Collection
        fields = ["id", "name", "description", "language", "embedder", "dimensions", "revision", "chunks", "created_at", "updated_at"]
        read_only_fields = fields


class CollectionRequestSerializer(serializers.Serializer[Any]):
    """What a new collection is called, and which language its texts are in."""

    name = TextField(
        trim_whitespace=False, max_length=50, validators=[RegexValidator(rf"^{NAME.pattern}$", NAME_RULE)], help_text=NAME_RULE
    )
    description = BlankTextField(max_length=500, default="", help_text="What it is for.")
    language = serializers.ChoiceField(
        choices=LANGUAGES, default="simple", help_text="For the search by words; `simple` takes each word as it is. It can't be changed."
    )

    embedder = TextField(
        max_length=200, default=LOCAL, help_text=f"`{LOCAL}` ships with the platform and costs nothing; else a model. It can't be changed."
    )
    dimensions = WholeField(
        min_value=1,
        max_value=max(DIMENSIONS),
        required=False,
        allow_null=True,
        default=None,
        help_text=f"How many numbers a vector of a provider's model has: one of {', '.join(map(str, DIMENSIONS))}. Longer ones are cut.",
    )


class DescriptionSerializer(serializers.Serializer[Any]):
    """What of a collection can be said anew."""

    description = BlankTextField(max_length=500, required=False, help_text="What it is for. Left out, it stays.")


class RefusalSerializer(serializers.Serializer[Any]):
    """Why a document was not taken."""

    code = serializers.CharField()
    message = serializers.CharField()


class VersionSerializer(serializers.Serializer[DocumentVersion]):
    """The bytes of one upload, and what was read of them."""

    version = serializers.IntegerField()
    status = serializers.ChoiceField(choices=STANDINGS, help_text="`embedding`: it is read, and a provider makes its vectors.")
    refusal = RefusalSerializer(allow_null=True, help_text="Why it was refused, or why nobody makes its vectors.")
    size_bytes = serializers.IntegerField()
    sha256 = serializers.CharField()
    media_type = serializers.CharField(allow_null=True)
    title = serializers.CharField()
    language = serializers.CharField(help_text="As the document says of itself.")
    pages = serializers.IntegerField(allow_null=True, help_text="Pages, slides or sheets.")
    characters = serializers.IntegerField(allow_null=True)
    chunks = serializers.IntegerField()
    from_revision = serializers.IntegerField(allow_null=True, help_text="Of the collection: from here on searches find it.")
    to_revision = serializers.IntegerField(allow_null=True, help_text="Of the collection: from here on they don't any more.")
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True, help_text="When it was ready, or refused.")

    def to_representation(self, instance: DocumentVersion) -> dict[str, Any]:
        return {
            "version": instance.number,
            "status": instance.standing,
            "refusal": {"code": instance.refusal_code, "message": instance.refusal_message} if instance.refusal_code else None,
            "size_bytes": instance.size_bytes,
            "sha256": instance.sha256,
            "media_type": instance.media_type or None,
            "title": instance.title,
            "language": instance.language,
            "pages": instance.pages,
            "characters": instance.characters,
            "chunks": instance.chunk_count,
            "from_revision": instance.from_revision,
            "to_revision": instance.to_revision,
            "created_at": instance.created_at,
            "ended_at": instance.ended_at,
        }


class DocumentSerializer(serializers.Serializer[Document]):
    """A name in a collection. Searches find its `current_version`; `newest` is the last that was uploaded."""

    id = serializers.CharField()
    collection = serializers.CharField()
    name = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]  # the API's name hides an attribute that only input uses
    metadata = serializers.DictField(child=serializers.CharField())
    current_version = serializers.IntegerField(allow_null=True)
    newest = VersionSerializer()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    def to_representation(self, instance: Document) -> dict[str, Any]:
        (newest,) = instance.newest  # type: ignore[attr-defined]  # fetched with it
        return {
            "id": instance.public_id,
            "collection": public_id(COLLECTION_PREFIX, instance.collection_id),
            "name": instance.name,
            "source": instance.source,
            "metadata": instance.metadata,
            "current_version": instance.current_number,
            "newest": VersionSerializer(newest).data,
            "created_at": instance.created_at,
            "updated_at": instance.updated_at,
        }


@extend_schema_field(OpenApiTypes.BINARY)
class _BytesField(serializers.FileField):
    """A file in a form."""


class DocumentUploadSerializer(serializers.Serializer[Any]):
    """Documents for a collection."""

    collection = serializers.CharField(help_text="Its id or its name.")
    file = serializers.ListField(child=_BytesField(), help_text="One file or several, under the same field name; zips are unpacked.")
    metadata = serializers.CharField(
        required=False, help_text=f"A JSON object of texts of at most {LONGEST_VALUE} characters, kept with each of them."
    )


class UploadedDocumentSerializer(serializers.Serializer[Any]):
    """One of the uploaded files. `is_new` is false for bytes that the document has already."""

    document = DocumentSerializer()
    version = serializers.IntegerField()
    is_new = serializers.BooleanField()


class UploadedDocumentsSerializer(serializers.Serializer[Any]):
    """What became of each uploaded file, in their order; of an archive, of each document in it."""

    data = UploadedDocumentSerializer(many=True)  # type: ignore[assignment]  # the API's name hides an attribute that only input uses


class SectionSerializer(serializers.Serializer[Any]):
    """A section with its place in the text."""

    start = serializers.IntegerField()
    end = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=["heading", "text", "table", "list", "code"])
    level = serializers.IntegerField(help_text="Of a heading; 1 is the highest.")
    anchor = serializers.CharField(help_text="Where it stands in the document, like `page 3`.")


class DocumentTextSerializer(serializers.Serializer[Any]):
    """What a version says, from `offset` on; places count characters from its beginning."""

    version = serializers.IntegerField()
    characters = serializers.IntegerField(help_text="In all.")
    offset = serializers.IntegerField()
    text = serializers.CharField(allow_blank=True)
    sections = SectionSerializer(many=True)
    next_offset = serializers.IntegerField(allow_null=True, help_text="Send it as `offset` for what follows; null: this was the end.")
