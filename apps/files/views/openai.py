"""`/v1/files`: upload, list, retrieve, content, delete, as the OpenAI API has them."""

from typing import TYPE_CHECKING, cast
from uuid import UUID

from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.parsers import MultiPartParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.permissions import key_of
from apps.files.actions import create_file, delete_file
from apps.files.domain.upload import UploadRefusedError, read_upload_form
from apps.files.models import FILE_PREFIX, File
from apps.files.queries import FileGoneError, find_file, find_lack_of_space, list_files, open_file
from apps.files.serializers import FileDeletedSerializer, FileListSerializer, FileSerializer, UploadSerializer
from apps.lib.clock import current_time
from apps.lib.http_errors import ApiError
from apps.lib.ids import parse_public_id
from apps.lib.pages import read_limit, take_page
from apps.lib.streaming import read_chunks, stream_response

if TYPE_CHECKING:
    from django.core.files.uploadedfile import UploadedFile

_MOST_FILES = 10_000


def find_requested(request: Request, file_id: str) -> File:
    """The caller's file; NotFound when there is none, told no differently for another workspace's."""
    file = find_file(workspace_id=key_of(request).workspace_id, public_id=file_id)
    if file is None:
        message = f"No such file: {file_id[:100]!r}."
        raise NotFound(message)
    return file


def read_form_file(request: Request, name: str) -> "UploadedFile[bytes]":
    """The one file of the form, in that field; ApiError 400 for none, several or an empty one, 503 when there is no space for it."""
    found = request.FILES.getlist(name)
    if not found and name in request.POST:
        message = f"The form's field {name!r} holds a text, not a file: give it a filename (with curl: -F {name}=@in.jsonl)."
        raise ApiError(400, "missing_required_parameter", message, param=name)
    if not found:
        raise ApiError(400, "missing_required_parameter", f"The form lacks a file in the field {name!r}.", param=name)
    if len(found) > 1:
        raise ApiError(400, "invalid_value", f"The form has {len(found)} files in the field {name!r}; send one.", param=name)
    if not found[0].size:
        raise ApiError(400, "empty_file", f"The file in the field {name!r} is empty.", param=name)
    # Asked once more: what might have been a repeated upload was read with less left. Its bytes are on the disk by now.
    if lack := find_lack_of_space(0):
        raise lack
    return cast("UploadedFile[bytes]", found[0])


class FilesView(APIView):
    """All files of the key's workspace."""

    required_scope = "files"
    parser_classes = [MultiPartParser]

    @extend_schema(
        operation_id="list_files",
        parameters=[
            OpenApiParameter("purpose", OpenApiTypes.STR),
            OpenApiParameter("limit", OpenApiTypes.INT, description=f"How many at most; brought into 1 to {_MOST_FILES:,}."),
            OpenApiParameter("order", OpenApiTypes.STR, enum=["asc", "desc"], description="By the time of upload."),
            OpenApiParameter("after", OpenApiTypes.STR, description="The id of the last file of the page before."),
        ],
        responses=FileListSerializer,
    )
    def get(self, request: Request) -> Response:
        """List files, newest first: `purpose`, `limit` (up to 10,000), `order`, `after`."""
        rows = list_files(workspace_id=key_of(request).workspace_id)
        if purpose := request.query_params.get("purpose"):
            rows = rows.filter(purpose=purpose)
        page = take_page(
            rows,
            after=_after(request),
            limit=read_limit(request.query_params.get("limit"), default=_MOST_FILES, most=_MOST_FILES),
            is_oldest_first=_is_oldest_first(request.query_params.get("order", "desc")),
        )
        return Response(page.as_list(lambda file: FileSerializer(file).data))

    @extend_schema(operation_id="create_file", request={"multipart/form-data": UploadSerializer}, responses=FileSerializer)
    def post(self, request: Request) -> Response:
        """Upload a file as multipart form data: `file`, `purpose`, `expires_after[anchor]`, `expires_after[seconds]`."""
        upload = read_form_file(request, "file")
        try:
            form = read_upload_form(
                purpose=request.POST.get("purpose"),
                anchor=request.POST.get("expires_after[anchor]"),
                seconds=request.POST.get("expires_after[seconds]"),
            )
        except UploadRefusedError as refused:
            raise ApiError(400, refused.code, refused.message, param=refused.param) from refused
        file = create_file(
            workspace_id=key_of(request).workspace_id,
            api_key_id=key_of(request).id,
            purpose=form.purpose,
            filename=upload.name or "",
            content=upload,
            expires_after_seconds=form.expires_after_seconds,
            now=current_time(),
        )
        return Response(FileSerializer(file).data)


def _is_oldest_first(order: str) -> bool:
    if order not in ("asc", "desc"):
        raise ApiError(400, "invalid_value", f"Invalid value {order[:100]!r} for 'order': use 'asc' or 'desc'.", param="order")
    return order == "asc"


def _after(request: Request) -> UUID | None:
    text = request.query_params.get("after")
    return (parse_public_id(FILE_PREFIX, text) or UUID(int=0)) if text else None


class FileView(APIView):
    """One file."""

    required_scope = "files"

    @extend_schema(operation_id="retrieve_file", responses=FileSerializer)
    def get(self, request: Request, file_id: str) -> Response:
        """The file's facts."""
        return Response(FileSerializer(find_requested(request, file_id)).data)

    @extend_schema(operation_id="delete_file", responses={200: FileDeletedSerializer})
    def delete(self, request: Request, file_id: str) -> Response:
        """Delete the file's bytes; a batch that has not read them yet will fail and say so."""
        file = find_requested(request, file_id)
        delete_file(file_id=file.id, now=current_time())
        return Response({"id": file.public_id, "object": "file", "deleted": True})


class AnyRenderer(JSONRenderer):
    """Lets a client ask for `application/binary`, as the SDK does; only errors are rendered."""

    media_type = "*/*"


class FileContentView(APIView):
    """One file's bytes."""

    required_scope = "files"
    renderer_classes = [AnyRenderer]

    @extend_schema(operation_id="download_file", responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    def get(self, request: Request, file_id: str) -> StreamingHttpResponse:
        """The bytes as they were uploaded or written, always as a download."""
        return stream_file(request, find_requested(request, file_id))


def stream_file(request: Request, file: File) -> StreamingHttpResponse:
    """A file's bytes as a download, never all in memory."""
    try:
        content = open_file(file.id)
    except FileGoneError as error:
        raise NotFound(str(error)) from error
    django_request = request._request  # noqa: SLF001 -- REST framework's name for Django's own
    response = stream_response(django_request, read_chunks(content), content_type="application/octet-stream")
    response.headers["Content-Length"] = str(file.size_bytes)
    response.headers["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=file.filename)
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
