"""Dead items in the native API: what waits for a person, by what it died of; run it again, or discard it."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.permissions import key_of
from apps.jobs import actions
from apps.jobs.domain.dead_items import Wish, WishRefusedError, read_wish
from apps.jobs.queries import list_dead_groups
from apps.jobs.serializers import DeadGroupsSerializer, DiscardedSerializer, DiscardSerializer, RequeuedSerializer, RequeueSerializer
from apps.lib.clock import current_time
from apps.lib.http_errors import ApiError


class DeadItemsView(APIView):
    """Groups of dead items that died of the same, the biggest first."""

    required_scope = "jobs"

    @extend_schema(operation_id="list_dead_items", tags=["dead items"], responses=DeadGroupsSerializer)
    def get(self, request: Request) -> Response:
        return Response(DeadGroupsSerializer({"data": list_dead_groups(workspace_ids=[key_of(request).workspace_id])}).data)


class DeadItemsRequeueView(APIView):
    """Run dead items again: a group, what is dead of a job, or some by their ids; at most 20,000 at once."""

    required_scope = "jobs"

    @extend_schema(operation_id="requeue_dead_items", tags=["dead items"], request=RequeueSerializer, responses=RequeuedSerializer)
    def post(self, request: Request) -> Response:
        """With `dry_run` nothing changes: you see how many it would be and what they may cost."""
        wish = _read(request.data)
        done = actions.requeue_dead(
            wish.selection,
            wish.change,
            workspace_ids=[key_of(request).workspace_id],
            is_dry_run=wish.is_dry_run,
            now=current_time(),
            reason=wish.reason,
        )
        return Response(RequeuedSerializer(done).data)


class DeadItemsDiscardView(APIView):
    """Decide that dead items stay dead: they leave the list, and keep their record and their lines in the error file."""

    required_scope = "jobs"

    @extend_schema(operation_id="discard_dead_items", tags=["dead items"], request=DiscardSerializer, responses=DiscardedSerializer)
    def post(self, request: Request) -> Response:
        """`reason` is needed; it stands in the audit log."""
        wish = _read(request.data)
        items = actions.discard_dead(wish.selection, workspace_ids=[key_of(request).workspace_id], now=current_time(), reason=wish.reason)
        return Response(DiscardedSerializer({"items": items}).data)


def _read(values: Any) -> Wish:
    try:
        return read_wish(values)
    except WishRefusedError as refused:
        raise ApiError(400, "invalid_value", refused.message, param=refused.param) from refused
