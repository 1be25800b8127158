"""`/v1/uploads`: a big file in parts, as the OpenAI API has it."""

from drf_spectacular.utils import extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.permissions import key_of
from apps.files.actions import add_part, cancel_upload, complete_upload, start_upload
from apps.files.queries import require_upload
from apps.files.serializers import (
    CompletionSerializer,
    PartFormSerializer,
    PartSerializer,
    UploadObjectSerializer,
    UploadRequestSerializer,
)
from apps.files.views.openai import read_form_file
from apps.lib.clock import current_time


class UploadsView(APIView):
    """Uploads of the key's workspace."""

    required_scope = "files"

    @extend_schema(operation_id="create_upload", request=UploadRequestSerializer, responses=UploadObjectSerializer)
    def post(self, request: Request) -> Response:
        """Announce a file: its name, size and purpose. It takes parts for an hour."""
        key = key_of(request)
        upload = start_upload(workspace_id=key.workspace_id, api_key_id=key.id, values=request.data, now=current_time())
        return Response(UploadObjectSerializer(upload).data)


class UploadPartsView(APIView):
    """The parts of one upload."""

    required_scope = "files"
    parser_classes = [MultiPartParser]

    @extend_schema(operation_id="add_upload_part", request={"multipart/form-data": PartFormSerializer}, responses=PartSerializer)
    def post(self, request: Request, upload_id: str) -> Response:
        """Send one part as multipart form data, in the field `data`; several may come at once, in any order."""
        require_upload(workspace_id=key_of(request).workspace_id, public_id=upload_id)
        content = read_form_file(request, "data")
        part = add_part(workspace_id=key_of(request).workspace_id, public_id=upload_id, content=content, now=current_time())
        return Response(PartSerializer(part).data)


class UploadCompleteView(APIView):
    """The end of one upload."""

    required_scope = "files"

    @extend_schema(operation_id="complete_upload", request=CompletionSerializer, responses=UploadObjectSerializer)
    def post(self, request: Request, upload_id: str) -> Response:
        """Make the file of the parts, in the order of `part_ids`; with `md5` their bytes are checked."""
        key = key_of(request)
        upload = complete_upload(
            workspace_id=key.workspace_id, api_key_id=key.id, public_id=upload_id, values=request.data, now=current_time()
        )
        return Response(UploadObjectSerializer(upload).data)


class UploadCancelView(APIView):
    """Giving up one upload."""

    required_scope = "files"

    @extend_schema(operation_id="cancel_upload", request=None, responses=UploadObjectSerializer)
    def post(self, request: Request, upload_id: str) -> Response:
        """Cancel: nothing more is taken, and what has come is removed."""
        upload = cancel_upload(workspace_id=key_of(request).workspace_id, public_id=upload_id, now=current_time())
        return Response(UploadObjectSerializer(upload).data)
