"""Jobs in the native API: list them, look at one, and change its course."""

from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.permissions import key_of
from apps.jobs import actions
from apps.jobs.models import Job
from apps.jobs.queries import find_job, jobs_of
from apps.jobs.serializers import JobSerializer, LaneSerializer, RerunSerializer
from apps.jobs.views.batches import LINE_PARAMETERS, NDJSON, stream_results
from apps.jobs.views.filters import JobFilter
from apps.lib.clock import current_time
from apps.lib.cursor_pages import CursorPages
from apps.lib.http_errors import GIVE_UP, ApiError
from apps.lib.narrowing import Narrowing

_SINGLE = "single"


@extend_schema_view(get=extend_schema(operation_id="list_jobs", tags=["jobs"]))
class JobsView(ListAPIView[Job]):
    """Jobs, newest first."""

    required_scope = "jobs"
    queryset = Job.objects.none()
    serializer_class = JobSerializer
    pagination_class = CursorPages
    filter_backends = [Narrowing]
    filterset_class = JobFilter

    def get_queryset(self) -> QuerySet[Job]:
        return jobs_of(key_of(self.request).workspace_id)


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


class JobResultsView(APIView):
    """The lines of items that have ended, also while the job runs, in the input's order."""

    required_scope = "jobs"

    @extend_schema(
        operation_id="read_job_results",
        tags=["jobs"],
        parameters=LINE_PARAMETERS,
        responses={(200, NDJSON): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, job_id: str) -> StreamingHttpResponse:
        return stream_results(request, find_job(workspace_id=key_of(request).workspace_id, public_id=job_id))


def _changeable(request: Request, job_id: str) -> dict[str, Any]:
    """What an action needs for finding the job; ApiError 404 for an unknown one, 409 for a call that somebody waits for."""
    job = find_job(workspace_id=key_of(request).workspace_id, public_id=job_id)
    if job.kind == _SINGLE:
        message = "This job is a single call: it ends with its answer, or when its caller hangs up."
        raise ApiError(409, "invalid_state", message, headers=GIVE_UP)
    return {"workspace_id": job.workspace_id, "public_id": job.public_id}
