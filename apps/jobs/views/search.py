"""Search a collection, and look at what a search found. Where a provider makes the vectors, searching is work."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.permissions import key_of
from apps.jobs import actions
from apps.jobs.serializers import SearchRequestSerializer, SnapshotSerializer
from apps.knowledge.actions import PinTo
from apps.knowledge.domain.request import Mode, SearchRequest
from apps.knowledge.queries import find_collection, find_snapshot, present_snapshot
from apps.lib.clock import current_time


class CollectionSearchView(APIView):
    """What a collection knows of something."""

    required_scope = "documents"

    @extend_schema(operation_id="search_collection", tags=["documents"], request=SearchRequestSerializer, responses=SnapshotSerializer)
    def post(self, request: Request, collection_id: str) -> Response:
        """Search by meaning and by words. What was found is frozen as a snapshot, which answers can cite.

        Where a provider makes the collection's vectors, it is asked for the question's, which is charged like any call.
        """
        key = key_of(request)
        collection = find_collection(workspace_id=key.workspace_id, name=collection_id)
        wanted = SearchRequestSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        values = dict(wanted.validated_data)
        pin = values.pop("pin")
        asked = SearchRequest(**values | {"document_ids": tuple(values["document_ids"]), "mode": Mode(values["mode"])})
        pin_to = PinTo(**pin) if pin else None
        found = actions.search_documents(
            collection=collection, api_key_id=key.id, request=asked, pin_to=pin_to, is_alone=True, now=current_time()
        )
        return Response(present_snapshot(found))


class SnapshotView(APIView):
    """What a search found once."""

    required_scope = "documents"

    @extend_schema(operation_id="retrieve_snapshot", tags=["documents"], responses=SnapshotSerializer)
    def get(self, request: Request, snapshot_id: str) -> Response:
        """It stays as it is; of a document that was deleted the places are left, without the text."""
        return Response(present_snapshot(find_snapshot(workspace_id=key_of(request).workspace_id, public_id=snapshot_id)))
