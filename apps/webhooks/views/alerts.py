"""Alerts in the native API: what a person should look at, and taking it on."""

from django.db.models import Q, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.permissions import key_of
from apps.lib.clock import current_time
from apps.lib.cursor_pages import CursorPages
from apps.lib.narrowing import Narrowing, text_filter
from apps.webhooks import actions
from apps.webhooks.domain.alerts import Severity
from apps.webhooks.models import Alert
from apps.webhooks.queries import alerts_of, find_alert
from apps.webhooks.serializers import AlertSerializer

_STATES = {
    "open": Q(resolved_at=None, acknowledged_at=None),
    "acknowledged": Q(resolved_at=None, acknowledged_at__isnull=False),
    "resolved": Q(resolved_at__isnull=False),
}


class AlertFilter(filters.FilterSet):  # type: ignore[misc]  # django-filter ships no types
    """Of alerts."""

    state = filters.ChoiceFilter(choices=[(name, name) for name in _STATES], method="by_state")
    severity = filters.ChoiceFilter(choices=[(one.value, one.value) for one in Severity])
    kind = text_filter(longest=40, label="For example `dead.share`.")

    def by_state(self, rows: QuerySet[Alert], _name: str, value: str) -> QuerySet[Alert]:
        return rows.filter(_STATES[value])


@extend_schema_view(get=extend_schema(operation_id="list_alerts", tags=["alerts"]))
class AlertsView(ListAPIView[Alert]):
    """The workspace's alerts, newest first; kept for 180 days after they were over."""

    required_scope = "jobs"
    queryset = Alert.objects.none()
    serializer_class = AlertSerializer
    pagination_class = CursorPages
    page_order = ("-id",)
    filter_backends = [Narrowing]
    filterset_class = AlertFilter

    def get_queryset(self) -> QuerySet[Alert]:
        return alerts_of(key_of(self.request).workspace_id)


class AlertView(APIView):
    """One alert."""

    required_scope = "jobs"

    @extend_schema(operation_id="retrieve_alert", tags=["alerts"], responses=AlertSerializer)
    def get(self, request: Request, alert_id: str) -> Response:
        return Response(AlertSerializer(find_alert(workspace_id=key_of(request).workspace_id, public_id=alert_id)).data)


class AlertAcknowledgeView(APIView):
    """Take it on: it leaves the top of the back office's pages and stays in the lists until it is over. Once more changes nothing."""

    required_scope = "jobs"

    @extend_schema(operation_id="acknowledge_alert", tags=["alerts"], request=None, responses=AlertSerializer)
    def post(self, request: Request, alert_id: str) -> Response:
        found = find_alert(workspace_id=key_of(request).workspace_id, public_id=alert_id)
        return Response(AlertSerializer(actions.acknowledge_alert(alert_id=found.id, now=current_time())).data)
