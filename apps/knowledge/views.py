"""`/api/collections`, `/api/documents`: documents come in, are read, and tell what they say."""

from typing import Any
from uuid import UUID

import orjson
from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.generics import ListAPIView
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.permissions import key_of
from apps.files.queries import find_lack_of_space
from apps.knowledge import actions
from apps.knowledge.models import COLLECTION_PREFIX, Collection, Document, DocumentVersion, VersionStatus
from apps.knowledge.queries import (
    collections_of,
    cut_text,
    documents_of,
    find_collection,
    find_document,
    find_version,
    place_sections,
    versions_of,
)
from apps.knowledge.serializers import (
    CollectionRequestSerializer,
    CollectionSerializer,
    DescriptionSerializer,
    DocumentSerializer,
    DocumentTextSerializer,
    DocumentUploadSerializer,
    UploadedDocumentsSerializer,
    VersionSerializer,
)
from apps.lib.clock import current_time
from apps.lib.cursor_pages import CursorPages
from apps.lib.http_errors import ApiError
from apps.lib.ids import parse_public_id
from apps.lib.narrowing import Narrowing, text_filter
from apps.lib.whole_parameters import read_whole

MOST_AT_ONCE = 100
_MOST_CHARACTERS = 1_000_000
_USUAL_CHARACTERS = 100_000


@extend_schema_view(get=extend_schema(operation_id="list_collections", tags=["documents"]))
class CollectionsView(ListAPIView[Collection]):
    """The workspace's collections, newest first."""

    required_scope = "documents"
    queryset = Collection.objects.none()
    serializer_class = CollectionSerializer
    pagination_class = CursorPages
    page_order = ("-id",)

    def get_queryset(self) -> QuerySet[Collection]:
        return collections_of(key_of(self.request).workspace_id)

    @extend_schema(
        operation_id="create_collection", tags=["documents"], request=CollectionRequestSerializer, responses={201: CollectionSerializer}
    )
    def post(self, request: Request) -> Response:
        """Make a collection. Documents that are uploaded to it are found together."""
        wanted = CollectionRequestSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        made = actions.create_collection(workspace_id=key_of(request).workspace_id, **wanted.validated_data, now=current_time())
        return Response(CollectionSerializer(made).data, status=201)


class CollectionView(APIView):
    """One collection, by its id or its name."""

    required_scope = "documents"

    @extend_schema(operation_id="retrieve_collection", tags=["documents"], responses=CollectionSerializer)
    def get(self, request: Request, collection_id: str) -> Response:
        return Response(CollectionSerializer(_collection(request, collection_id)).data)

    @extend_schema(operation_id="describe_collection", tags=["documents"], request=DescriptionSerializer, responses=CollectionSerializer)
    def patch(self, request: Request, collection_id: str) -> Response:
        """Say anew what it is for. Its name, language and embedder stay."""
        collection = _collection(request, collection_id)
        wanted = DescriptionSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        description = wanted.validated_data.get("description", collection.description)
        described = actions.describe_collection(collection_id=collection.id, description=description, now=current_time())
        return Response(CollectionSerializer(described).data)

    @extend_schema(
        operation_id="delete_collection",
        tags=["documents"],
        parameters=[
            OpenApiParameter(
                "name", {"type": "string", "minLength": 1, "maxLength": 50}, required=True, description="The collection's name, once more."
            )
        ],
        responses={204: None},
    )
    def delete(self, request: Request, collection_id: str) -> Response:
        """It goes with all of its documents, for good. Passages that kept answers cite stay for as long as these are kept."""
        collection = _collection(request, collection_id)
        actions.delete_collection(collection_id=collection.id, name=request.query_params.get("name", ""), now=current_time())
        return Response(status=204)


class DocumentFilter(filters.FilterSet):  # type: ignore[misc]  # django-filter ships no types
    """What the list can be narrowed by."""

    collection = text_filter(longest=50, label="The collection's id or name.")
    status = filters.ChoiceFilter(choices=VersionStatus.choices, label="Of the newest version.")

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Both are facts of other rows."""
        if name := self.form.cleaned_data["collection"]:
            key = parse_public_id(COLLECTION_PREFIX, name)
            queryset = queryset.filter(collection_id=key) if key else queryset.filter(collection__name=name)
        if status := self.form.cleaned_data["status"]:
            queryset = queryset.filter(newest_status=status)
        return queryset


@extend_schema_view(get=extend_schema(operation_id="list_documents", tags=["documents"]))
class DocumentsView(ListAPIView[Document]):
    """The workspace's documents, newest first."""

    required_scope = "documents"
    queryset = Document.objects.none()
    serializer_class = DocumentSerializer
    pagination_class = CursorPages
    page_order = ("-id",)
    filter_backends = [Narrowing]
    filterset_class = DocumentFilter
    parser_classes = [MultiPartParser]

    def get_queryset(self) -> QuerySet[Document]:
        return documents_of(key_of(self.request).workspace_id)

    @extend_schema(
        operation_id="upload_documents",
        tags=["documents"],
        request={"multipart/form-data": DocumentUploadSerializer},
        responses={201: UploadedDocumentsSerializer},
    )
    def post(self, request: Request) -> Response:
        """Upload files to a collection. Each is read by a worker; its status tells when searches find it, or why it was refused.

        Of a zip archive each file becomes a document, of one that can't be trusted none.
        A name that the collection has gets a new version, which takes the place of the one before; the same bytes change nothing.
        """
        key = key_of(request)
        if not (name := request.POST.get("collection")):
            raise ApiError(400, "missing_required_parameter", "Say which collection, by id or name.", param="collection")
        collection = _named(key.workspace_id, name)
        files, metadata = _files(request), _metadata(request)
        added = [
            one
            for file in files
            for one in actions.add_upload(
                collection_id=collection.id, api_key_id=key.id, upload=file, metadata=metadata, now=current_time()
            )
        ]
        ids = {one.document.id for one in added}
        documents = {document.id: DocumentSerializer(document).data for document in documents_of(key.workspace_id).filter(id__in=ids)}
        data = [{"document": documents[one.document.id], "version": one.version.number, "is_new": one.is_new} for one in added]
        return Response({"data": data}, status=201)


class DocumentView(APIView):
    """One document."""

    required_scope = "documents"

    @extend_schema(operation_id="retrieve_document", tags=["documents"], responses=DocumentSerializer)
    def get(self, request: Request, document_id: str) -> Response:
        return Response(DocumentSerializer(_document(request, document_id)).data)

    @extend_schema(operation_id="delete_document", tags=["documents"], responses={204: None})
    def delete(self, request: Request, document_id: str) -> Response:
        """No search finds it any more; its bytes are gone. Snapshots and searches as of an older revision still show what they cite."""
        actions.delete_document(document_id=_document(request, document_id).id, now=current_time())
        return Response(status=204)


@extend_schema_view(get=extend_schema(operation_id="list_document_versions", tags=["documents"]))
class DocumentVersionsView(ListAPIView[DocumentVersion]):
    """A document's versions, newest first."""

    required_scope = "documents"
    queryset = DocumentVersion.objects.none()
    serializer_class = VersionSerializer
    pagination_class = CursorPages
    page_order = ("-number",)

    def get_queryset(self) -> QuerySet[DocumentVersion]:
        return versions_of(_document(self.request, self.kwargs["document_id"]).id)


class DocumentTextView(APIView):
    """What was read of a document."""

    required_scope = "documents"

    @extend_schema(
        operation_id="read_document_text",
        tags=["documents"],
        parameters=[
            OpenApiParameter("version", {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}, description="Without it the current one."),
            OpenApiParameter("offset", {"type": "integer", "minimum": 0, "maximum": 2**31 - 1, "default": 0}),
            OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": _MOST_CHARACTERS, "default": _USUAL_CHARACTERS}),
        ],
        responses=DocumentTextSerializer,
    )
    def get(self, request: Request, document_id: str) -> Response:
        """Its plain text with the sections that stand in it, in parts. A version that is not ready says nothing."""
        number = read_whole(request, "version", least=1)
        version = find_version(document=_document(request, document_id), number=number)
        offset = read_whole(request, "offset", least=0) or 0
        limit = read_whole(request, "limit", least=1, most=_MOST_CHARACTERS) or _USUAL_CHARACTERS
        text, shown = cut_text(place_sections(version), offset=offset, limit=limit)
        characters = version.characters or 0
        sections = [
            {"start": one.start, "end": one.end, "kind": one.section.kind, "level": one.section.level, "anchor": one.section.anchor}
            for one in shown
        ]
        told = {"version": version.number, "characters": characters, "offset": offset, "text": text, "sections": sections}
        return Response(told | {"next_offset": offset + limit if offset + limit < characters else None})


def _collection(request: Request, name: str) -> Collection:
    return find_collection(workspace_id=key_of(request).workspace_id, name=name)


def _named(workspace_id: UUID, name: str) -> Collection:
    """What a form names; the address itself is there."""
    try:
        return find_collection(workspace_id=workspace_id, name=name)
    except ApiError as unknown:
        raise ApiError(400, "collection_not_found", unknown.message, param="collection") from unknown


def _document(request: Request, public_id: str) -> Document:
    return find_document(workspace_id=key_of(request).workspace_id, public_id=public_id)


def _files(request: Request) -> list[Any]:
    found: list[Any] = request.FILES.getlist("file")
    if not found:
        raise ApiError(400, "missing_required_parameter", "The form lacks a file in the field 'file', with a filename.", param="file")
    if len(found) > MOST_AT_ONCE:
        raise ApiError(400, "invalid_value", f"The form has {len(found)} files; send at most {MOST_AT_ONCE} at once.", param="file")
    if empty := [file.name for file in found if not file.size]:
        raise ApiError(400, "empty_file", f"The file {str(empty[0])[:100]!r} is empty.", param="file")
    if lack := find_lack_of_space(0):
        raise lack
    return found


def _metadata(request: Request) -> dict[str, str] | None:
    text = request.POST.get("metadata")
    if not text:
        return None
    try:
        found: dict[str, str] = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ApiError(400, "invalid_json", f"'metadata' is no JSON: {error}", param="metadata") from error
    return found
