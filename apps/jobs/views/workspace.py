"""`/api/workspace`: where a key belongs, who else does, and what is under way. Here, because open work is counted from here."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.permissions import key_of
from apps.accounts.queries import count_live_keys, list_members, read_workspace
from apps.jobs.queries import sum_open_work
from apps.jobs.serializers.workspace import WorkspaceSerializer
from apps.lib.clock import current_time


class WorkspaceView(APIView):
    """The key's workspace: its members with their roles, and counts of what is open."""

    required_scope = "admin"

    @extend_schema(operation_id="retrieve_workspace", tags=["workspace"], responses=WorkspaceSerializer)
    def get(self, request: Request) -> Response:
        workspace = read_workspace(key_of(request).workspace_id)
        members = list_members(workspace.id)
        work = sum_open_work(workspace_ids=[workspace.id])
        counts = {"members": len(members), "live_keys": count_live_keys(workspace.id, now=current_time())}
        counts |= {"open_jobs": work["jobs"], "open_items": work["open"], "dead_items": work["dead"]}
        facts = {"name": workspace.name, "time_zone": workspace.time_zone, "created_at": workspace.created_at}
        return Response(WorkspaceSerializer(facts | {"members": members, "counts": counts}).data)
