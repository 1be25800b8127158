"""Items in the native API: a job's, by state and error; and everything that is known of one."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.permissions import key_of
from apps.jobs.models import Item
from apps.jobs.queries import find_item, find_job, read_item_servers
from apps.jobs.queries.item_record import read_item_record
from apps.jobs.serializers import ItemRecordSerializer, ItemSerializer
from apps.jobs.views.filters import ItemFilter
from apps.lib.cursor_pages import CursorPages
from apps.lib.narrowing import Narrowing
from apps.providers.queries import provider_names
from apps.traces.queries import read_raw_answers


@extend_schema_view(get=extend_schema(operation_id="list_items", tags=["items"]))
class ItemsView(ListAPIView[Item]):
    """A job's items, in the order of their input lines."""

    required_scope = "jobs"
    queryset = Item.objects.none()
    serializer_class = ItemSerializer
    pagination_class = CursorPages
    page_order = ("id",)
    filter_backends = [Narrowing]
    filterset_class = ItemFilter

    def get_queryset(self) -> QuerySet[Item]:
        job = find_job(workspace_id=key_of(self.request).workspace_id, public_id=self.kwargs["job_id"])
        return Item.objects.filter(job_id=job.id)


class ItemView(APIView):
    """One item with its request, its answer, every attempt with every exchange, and its charges."""

    required_scope = "jobs"

    @extend_schema(operation_id="retrieve_item", tags=["items"], responses=ItemRecordSerializer)
    def get(self, request: Request, item_id: str) -> Response:
        item = find_item(workspace_id=key_of(request).workspace_id, public_id=item_id)
        record = read_item_record(item)
        context = {"record": record, "providers": provider_names(), "servers": read_item_servers([item])}
        context["answers"] = read_raw_answers(record.runs)
        return Response(ItemRecordSerializer(item, context=context).data)
