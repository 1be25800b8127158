"""Jobs in the native API: list them, look at one, and change its course."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.generics import ListAPIView
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.domain.keys import Scope
from apps.accounts.permissions import key_of
from apps.jobs import actions
from apps.jobs.actions.export_results import export_results
from apps.jobs.models import Job
from apps.jobs.queries import find_job, jobs_of
from apps.jobs.serializers import JobSerializer, LaneSerializer, RerunSerializer
from apps.jobs.serializers.corrections import CorrectionRequestSerializer, CorrectionSerializer
from apps.jobs.serializers.document_jobs import DocumentJobForesightSerializer, DocumentJobRequestSerializer
from apps.jobs.views.batches import DRY_RUN, LINE_PARAMETERS, NDJSON, is_dry_run, read_lines, stream_results
from apps.jobs.views.document_jobs import read_wish
from apps.jobs.views.filters import JobFilter
from apps.lib.clock import current_time
from apps.lib.cursor_pages import CursorPages
from apps.lib.http_errors import GIVE_UP, ApiError
from apps.lib.narrowing import Narrowing
from apps.lib.streaming import stream_response

_SINGLE, _DOCUMENTS = "single", "documents"


@extend_schema_view(get=extend_schema(operation_id="list_jobs", tags=["jobs"]))
class JobsView(ListAPIView[Job]):
    """Jobs, newest first."""

    required_scope = "jobs"
    queryset = Job.objects.none()
    serializer_class = JobSerializer
    pagination_class = CursorPages
    filter_backends = [Narrowing]
    filterset_class = JobFilter

    @staticmethod
    def is_look(request: HttpRequest) -> bool:
        """What changes nothing is never answered from a record, nor recorded."""
        return request.GET.get(DRY_RUN) == "true"

    def get_queryset(self) -> QuerySet[Job]:
        return jobs_of(key_of(self.request).workspace_id)

    @extend_schema(
        operation_id="create_document_job",
        tags=["jobs"],
        parameters=[
            OpenApiParameter(
                DRY_RUN,
                {"type": "string", "enum": ["true", "false"]},
                description="`true`: nothing is submitted; what it would cost and when it would be over stands in `estimate`.",
            )
        ],
        request=DocumentJobRequestSerializer,
        responses={201: JobSerializer, 200: DocumentJobForesightSerializer},
        filters=False,
    )
    def post(self, request: Request) -> Response:
        """Have a recipe read documents: a job that starts once they are read. Its key needs the scope `documents`, too."""
        is_look, wish = is_dry_run(request), read_wish(request)
        if is_look:
            sees_amounts = Scope.SPEND in key_of(request).scopes
            foreseen = actions.foresee_documents(**wish, sees_amounts=sees_amounts, now=current_time())
            return Response(DocumentJobForesightSerializer(foreseen).data)
        return Response(JobSerializer(actions.submit_documents(**wish, now=current_time())).data, status=201)


class JobView(APIView):
    """One job, with how far it is and what it has cost so far."""

    required_scope = "jobs"

    @extend_schema(operation_id="retrieve_job", tags=["jobs"], responses=JobSerializer)
    def get(self, request: Request, job_id: str) -> Response:
        return Response(JobSerializer(find_job(workspace_id=key_of(request).workspace_id, public_id=job_id)).data)


class JobPauseView(APIView):
    """Pause: nothing more of the job is claimed until it is resumed; calls in the air finish."""

    required_scope = "jobs"

    @extend_schema(operation_id="pause_job", tags=["jobs"], request=None, responses=JobSerializer)
    def post(self, request: Request, job_id: str) -> Response:
        return Response(JobSerializer(actions.pause_job(**_changeable(request, job_id), now=current_time())).data)


class JobResumeView(APIView):
    """Let a paused job run again."""

    required_scope = "jobs"

    @extend_schema(operation_id="resume_job", tags=["jobs"], request=None, responses=JobSerializer)
    def post(self, request: Request, job_id: str) -> Response:
        return Response(JobSerializer(actions.resume_job(**_changeable(request, job_id))).data)


class JobCancelView(APIView):
    """Cancel: nothing more of the job is claimed; calls in the air finish and are charged. A second time it answers the same."""

    required_scope = "jobs"

    @extend_schema(operation_id="cancel_job", tags=["jobs"], request=None, responses=JobSerializer)
    def post(self, request: Request, job_id: str) -> Response:
        return Response(JobSerializer(actions.cancel_job(**_changeable(request, job_id), now=current_time())).data)


class JobLaneView(APIView):
    """Move what waits of a job to another lane; calls in the air stay where they are."""

    required_scope = "jobs"

    @extend_schema(operation_id="change_lane", tags=["jobs"], request=LaneSerializer, responses=JobSerializer)
    def post(self, request: Request, job_id: str) -> Response:
        target = _changeable(request, job_id)
        wanted = LaneSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        return Response(JobSerializer(actions.change_lane(**target, lane=wanted.validated_data["lane"])).data)


class JobRerunView(APIView):
    """Run again what has failed. A completed job gets a new revision and, at its end, new files."""

    required_scope = "jobs"

    @extend_schema(operation_id="rerun_failed", tags=["jobs"], request=RerunSerializer, responses=JobSerializer)
    def post(self, request: Request, job_id: str) -> Response:
        target = _changeable(request, job_id)
        wanted = RerunSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        job, _ = actions.rerun_failed(**target, now=current_time(), reason=wanted.validated_data.get("reason", ""))
        return Response(JobSerializer(job).data)


class _FormByView(DefaultContentNegotiation):
    """`format` is the view's own parameter, not a way to choose a renderer."""

    def filter_renderers(self, renderers: Any, format: str) -> Any:  # noqa: A002, ARG002 -- REST framework's signature
        return renderers


class JobResultsView(APIView):
    """What has ended so far, in the input's order.

    Of a batch the lines of its items; of a job of documents a line for each document, with its answer, citations, correction and cost.
    With `format` a table or lines as people download them, whole.
    """

    required_scope = "jobs"
    content_negotiation_class = _FormByView

    @extend_schema(
        operation_id="read_job_results",
        tags=["jobs"],
        parameters=[
            *LINE_PARAMETERS,
            OpenApiParameter("format", {"type": "string", "enum": ["csv", "jsonl"]}, description="As a download: all, without `after`."),
        ],
        responses={(200, NDJSON): OpenApiTypes.BINARY, (200, "text/csv"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, job_id: str) -> StreamingHttpResponse:
        job = find_job(workspace_id=key_of(request).workspace_id, public_id=job_id)
        form = request.query_params.get("format")
        if form not in {None, "csv", "jsonl"}:
            raise ApiError(400, "invalid_value", "'format' must be csv or jsonl.", param="format")
        if form is None and job.kind != _DOCUMENTS:
            return stream_results(request, job)
        if read_lines(request) != (None, None):
            raise ApiError(400, "invalid_value", "'after' and 'limit' are for the lines of a batch.", param="after")
        export = export_results(job=job, form=form or "jsonl")
        content_type = "text/csv; charset=utf-8" if form == "csv" else NDJSON
        return stream_response(request._request, export.chunks, content_type=content_type)  # noqa: SLF001 -- REST framework's name for Django's own


class CorrectionView(APIView):
    """Say what the answer for a document should have been. What the model said is kept; the newest correction counts."""

    required_scope = "jobs"

    @extend_schema(operation_id="correct_answer", tags=["jobs"], request=CorrectionRequestSerializer, responses={201: CorrectionSerializer})
    def post(self, request: Request, job_id: str, position: int) -> Response:
        job = find_job(workspace_id=key_of(request).workspace_id, public_id=job_id)
        wanted = CorrectionRequestSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        answer = actions.write_answer(wanted.validated_data["answer"])
        made = actions.correct_answer(job=job, position=position, answer=answer, note=wanted.validated_data["note"])
        return Response(CorrectionSerializer(made).data, status=201)


def _changeable(request: Request, job_id: str) -> dict[str, Any]:
    """What an action needs for finding the job; ApiError 404 for an unknown one, 409 for a call that somebody waits for."""
    job = find_job(workspace_id=key_of(request).workspace_id, public_id=job_id)
    if job.kind == _SINGLE:
        message = "This job is a single call: it ends with its answer, or when its caller hangs up."
        raise ApiError(409, "invalid_state", message, headers=GIVE_UP)
    return {"workspace_id": job.workspace_id, "public_id": job.public_id}
