"""`/api/files`: list, look at, read and delete. Uploads go to `/v1/files`."""

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.permissions import key_of
from apps.files.actions import delete_file
from apps.files.models import File, Purpose
from apps.files.queries import list_files
from apps.files.serializers import NativeFileSerializer
from apps.files.views.openai import AnyRenderer, find_requested, stream_file
from apps.lib.clock import current_time
from apps.lib.cursor_pages import CursorPages
from apps.lib.moments import MomentFilter
from apps.lib.narrowing import Narrowing


class FileFilter(filters.FilterSet):  # type: ignore[misc]  # django-filter ships no types
    """What the list can be narrowed by."""

    purpose = filters.ChoiceFilter(choices=Purpose.choices)
    created_after = MomentFilter(field_name="created_at", lookup_expr="gte", label="At this moment or later.")
    created_before = MomentFilter(field_name="created_at", lookup_expr="lt", label="Before this moment.")


@extend_schema_view(get=extend_schema(operation_id="list_native_files", tags=["files"]))
class NativeFilesView(ListAPIView[File]):
    """Files of the workspace, newest first: uploads, and what jobs wrote. Upload by POST to /v1/files."""

    required_scope = "files"
    queryset = File.objects.none()
    serializer_class = NativeFileSerializer
    pagination_class = CursorPages
    filter_backends = [Narrowing]
    filterset_class = FileFilter

    def get_queryset(self) -> QuerySet[File]:
        return list_files(workspace_id=key_of(self.request).workspace_id)


class NativeFileView(APIView):
    """One file."""

    required_scope = "files"

    @extend_schema(operation_id="retrieve_native_file", tags=["files"], responses=NativeFileSerializer)
    def get(self, request: Request, file_id: str) -> Response:
        """The file's facts."""
        return Response(NativeFileSerializer(find_requested(request, file_id)).data)

    @extend_schema(operation_id="delete_native_file", tags=["files"], responses={204: None})
    def delete(self, request: Request, file_id: str) -> Response:
        """Delete the file's bytes; a job that has not read them yet will fail and say so."""
        delete_file(file_id=find_requested(request, file_id).id, now=current_time())
        return Response(status=204)


class NativeFileContentView(APIView):
    """One file's bytes."""

    required_scope = "files"
    renderer_classes = [AnyRenderer]

    @extend_schema(operation_id="read_native_file", tags=["files"], responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    def get(self, request: Request, file_id: str) -> StreamingHttpResponse:
        """The bytes as they were uploaded or written, always as a download."""
        return stream_file(request, find_requested(request, file_id))
