"""The batch API: /v1/batches as OpenAI's clients know it, and results while a batch runs."""

from typing import TYPE_CHECKING, cast
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.domain.keys import Scope
from apps.jobs import actions
from apps.jobs.models import BATCH_LINE_PREFIX, BATCH_PREFIX, Job
from apps.jobs.queries import batches_of, find_batch, result_chunks
from apps.jobs.serializers import BatchListSerializer, BatchRequestSerializer, BatchSerializer
from apps.jobs.serializers.estimates import BatchAnswerSerializer, DryRunSerializer
from apps.lib.clock import current_time
from apps.lib.http_errors import ApiError
from apps.lib.ids import parse_public_id
from apps.lib.pages import Page, read_limit, take_page
from apps.lib.streaming import stream_response

if TYPE_CHECKING:
    from apps.accounts.models import ApiKey

NDJSON = "application/x-ndjson"
DRY_RUN = "dry_run"
_MOST_LINES = 999_999_999
LINE_PARAMETERS = [
    OpenApiParameter(
        "after",
        {"type": "string", "pattern": f"^{BATCH_LINE_PREFIX}[0-9a-f]{{32}}$"},
        description="The `id` of the last line that has been read.",
    ),
    OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": _MOST_LINES}, description="How many lines at most."),
]


class BatchListView(APIView):
    """Submit a batch; list batches, newest first."""

    required_scope = "batches"

    @staticmethod
    def is_look(request: HttpRequest) -> bool:
        """What changes nothing is never answered from a record, nor recorded."""
        return request.GET.get(DRY_RUN) == "true"

    @extend_schema(
        operation_id="create_batch",
        parameters=[
            OpenApiParameter(
                DRY_RUN,
                {"type": "string", "enum": ["true", "false"]},
                description="`true`: nothing is submitted; what it would cost and when it would be over stands in `estimate`.",
            )
        ],
        request=BatchRequestSerializer,
        responses=BatchAnswerSerializer,
    )
    def post(self, request: Request) -> Response:
        if is_dry_run(request):
            key = _key(request)
            run = actions.dry_run_batch(
                workspace_id=key.workspace_id,
                api_key_id=key.id,
                sees_amounts=Scope.SPEND in key.scopes,
                values=request.data,
                now=current_time(),
            )
            return Response(DryRunSerializer(run).data)
        job = actions.submit_batch(
            workspace_id=_key(request).workspace_id, api_key_id=_key(request).id, values=request.data, now=current_time()
        )
        return Response(BatchSerializer(job).data)

    @extend_schema(
        operation_id="list_batches",
        parameters=[
            OpenApiParameter("after", OpenApiTypes.STR, description="The id of the last batch of the page before."),
            OpenApiParameter("limit", OpenApiTypes.INT, description="How many at most; brought into 1 to 100."),
        ],
        responses=BatchListSerializer,
    )
    def get(self, request: Request) -> Response:
        limit = read_limit(request.query_params.get("limit"), default=20, most=100)
        page = _page(batches_of(_key(request).workspace_id), request.query_params.get("after"), limit)
        return Response(page.as_list(lambda job: BatchSerializer(job).data))


class BatchView(APIView):
    """One batch as it stands."""

    required_scope = "batches"

    @extend_schema(operation_id="retrieve_batch", responses=BatchSerializer)
    def get(self, request: Request, batch_id: str) -> Response:
        return Response(BatchSerializer(find_batch(workspace_id=_key(request).workspace_id, public_id=batch_id)).data)


class BatchCancelView(APIView):
    """Cancel a batch; a second time it answers the same."""

    required_scope = "batches"

    @extend_schema(operation_id="cancel_batch", request=None, responses=BatchSerializer)
    def post(self, request: Request, batch_id: str) -> Response:
        found = find_batch(workspace_id=_key(request).workspace_id, public_id=batch_id)
        job = actions.cancel_job(workspace_id=found.workspace_id, public_id=found.public_id, now=current_time())
        return Response(BatchSerializer(job).data)


class BatchResultsView(APIView):
    """The lines of items that have ended, also while the batch runs: the output and error files in one, in the input's order."""

    required_scope = "batches"

    @extend_schema(
        operation_id="read_batch_results",
        parameters=LINE_PARAMETERS,
        responses={(200, NDJSON): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, batch_id: str) -> StreamingHttpResponse:
        return stream_results(request, find_batch(workspace_id=_key(request).workspace_id, public_id=batch_id))


def stream_results(request: Request, job: Job) -> StreamingHttpResponse:
    """The result lines of a job, from `after` on, at most `limit`."""
    after, limit = read_lines(request)
    chunks = result_chunks(job.id, after=after, limit=limit)
    django_request = request._request  # noqa: SLF001 -- REST framework's name for Django's own
    return stream_response(django_request, chunks, content_type=NDJSON)


def read_lines(request: Request) -> tuple[UUID | None, int | None]:
    """From behind which line on, and how many at most."""
    return _line_after(request), _line_limit(request)


def _key(request: Request) -> "ApiKey":
    return cast("ApiKey", request.auth)


def is_dry_run(request: Request) -> bool:
    text = request.query_params.get(DRY_RUN, "false")
    if text not in {"true", "false"}:
        raise ApiError(400, "invalid_value", f"'{DRY_RUN}' must be true or false.", param=DRY_RUN)
    return bool(text == "true")


def _page(batches: QuerySet[Job], after: str | None, limit: int) -> Page[Job]:
    if not after:
        return take_page(batches, after=None, limit=limit)
    last = parse_public_id(BATCH_PREFIX, after)
    return take_page(batches, after=last, limit=limit) if last else Page([], has_more=False)


def _line_after(request: Request) -> UUID | None:
    text = request.query_params.get("after")
    if text is None:
        return None
    line = parse_public_id(BATCH_LINE_PREFIX, text)
    if line is None:
        raise ApiError(400, "invalid_value", "'after' must be the id of a line: batch_req_ and 32 hex digits.", param="after")
    return line


def _line_limit(request: Request) -> int | None:
    text = request.query_params.get("limit")
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text[:20]) <= _MOST_LINES:
        raise ApiError(400, "invalid_value", f"'limit' must be a whole number from 1 to {_MOST_LINES}.", param="limit")
    return int(text)
