"""`/api/webhooks`: register endpoints, try them out, change them, and see what was delivered."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.permissions import key_of
from apps.lib.clock import current_time
from apps.lib.cursor_pages import CursorPages
from apps.webhooks import actions
from apps.webhooks.domain.events import BATCH_EVENTS, EventType
from apps.webhooks.models import Delivery, Endpoint
from apps.webhooks.queries import deliveries_of, endpoints_of, find_delivery, find_endpoint
from apps.webhooks.serializers import (
    DeliverySerializer,
    EndpointChangeSerializer,
    EndpointRequestSerializer,
    EndpointSerializer,
    NewEndpointSerializer,
)


@extend_schema_view(get=extend_schema(operation_id="list_webhooks", tags=["webhooks"]))
class WebhooksView(ListAPIView[Endpoint]):
    """The workspace's webhook endpoints, newest first."""

    required_scope = "admin"
    queryset = Endpoint.objects.none()
    serializer_class = EndpointSerializer
    pagination_class = CursorPages

    def get_queryset(self) -> QuerySet[Endpoint]:
        return endpoints_of(key_of(self.request).workspace_id)

    @extend_schema(
        operation_id="create_webhook", tags=["webhooks"], request=EndpointRequestSerializer, responses={201: NewEndpointSerializer}
    )
    def post(self, request: Request) -> Response:
        """Register an endpoint. The secret that its events are signed with is in this answer and nowhere else."""
        wanted = EndpointRequestSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        values = wanted.validated_data
        events = [EventType(event) for event in values.get("events", BATCH_EVENTS)]
        made = actions.create_endpoint(
            workspace_id=key_of(request).workspace_id, name=values["name"], url=values["url"], events=events, now=current_time()
        )
        return _tell_secret(made, status=201)


class WebhookView(APIView):
    """One endpoint."""

    required_scope = "admin"

    @extend_schema(operation_id="retrieve_webhook", tags=["webhooks"], responses=EndpointSerializer)
    def get(self, request: Request, webhook_id: str) -> Response:
        return Response(EndpointSerializer(_endpoint(request, webhook_id)).data)

    @extend_schema(operation_id="change_webhook", tags=["webhooks"], request=EndpointChangeSerializer, responses=EndpointSerializer)
    def patch(self, request: Request, webhook_id: str) -> Response:
        """Change its name, URL or events, or switch it on or off."""
        endpoint = _endpoint(request, webhook_id)
        wanted = EndpointChangeSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        changed = actions.change_endpoint(
            workspace_id=endpoint.workspace_id, endpoint_id=endpoint.id, changes=wanted.validated_data, now=current_time()
        )
        return Response(EndpointSerializer(changed).data)

    @extend_schema(operation_id="delete_webhook", tags=["webhooks"], responses={204: None})
    def delete(self, request: Request, webhook_id: str) -> Response:
        """Delete it with its deliveries: nothing more is sent there."""
        endpoint = _endpoint(request, webhook_id)
        actions.delete_endpoint(workspace_id=endpoint.workspace_id, endpoint_id=endpoint.id)
        return Response(status=204)


class WebhookRotateView(APIView):
    """A new secret, told here alone. For 24 hours deliveries are signed with both, so that receivers can change theirs in between."""

    required_scope = "admin"

    @extend_schema(operation_id="rotate_webhook_secret", tags=["webhooks"], request=None, responses=NewEndpointSerializer)
    def post(self, request: Request, webhook_id: str) -> Response:
        endpoint = _endpoint(request, webhook_id)
        return _tell_secret(
            actions.rotate_secret(workspace_id=endpoint.workspace_id, endpoint_id=endpoint.id, now=current_time()), status=200
        )


class WebhookTestView(APIView):
    """Send a `webhook.test` event to this endpoint; its delivery tells what came of it."""

    required_scope = "admin"

    @extend_schema(operation_id="test_webhook", tags=["webhooks"], request=None, responses=DeliverySerializer)
    def post(self, request: Request, webhook_id: str) -> Response:
        endpoint = _endpoint(request, webhook_id)
        delivery = actions.send_test(workspace_id=endpoint.workspace_id, endpoint_id=endpoint.id, now=current_time())
        return Response(DeliverySerializer(delivery).data)


@extend_schema_view(get=extend_schema(operation_id="list_deliveries", tags=["webhooks"]))
class DeliveriesView(ListAPIView[Delivery]):
    """What this endpoint was sent or waits for, newest first, with every attempt. Kept for 30 days."""

    required_scope = "admin"
    queryset = Delivery.objects.none()
    serializer_class = DeliverySerializer
    pagination_class = CursorPages

    def get_queryset(self) -> QuerySet[Delivery]:
        endpoint = _endpoint(self.request, self.kwargs["webhook_id"])
        return deliveries_of(endpoint.workspace_id).filter(endpoint=endpoint)


class DeliveryView(APIView):
    """One delivery with its attempts."""

    required_scope = "admin"

    @extend_schema(operation_id="retrieve_delivery", tags=["webhooks"], responses=DeliverySerializer)
    def get(self, request: Request, delivery_id: str) -> Response:
        return Response(DeliverySerializer(find_delivery(workspace_id=key_of(request).workspace_id, public_id=delivery_id)).data)


class DeliveryReplayView(APIView):
    """Send it once more, under the same event id, now and by the whole schedule anew."""

    required_scope = "admin"

    @extend_schema(operation_id="replay_delivery", tags=["webhooks"], request=None, responses=DeliverySerializer)
    def post(self, request: Request, delivery_id: str) -> Response:
        workspace_id = key_of(request).workspace_id
        found = find_delivery(workspace_id=workspace_id, public_id=delivery_id)
        actions.send_again(workspace_id=workspace_id, delivery_id=found.id, now=current_time())
        return Response(DeliverySerializer(find_delivery(workspace_id=workspace_id, public_id=delivery_id)).data)


def _endpoint(request: Request, public_id: str) -> Endpoint:
    return find_endpoint(workspace_id=key_of(request).workspace_id, public_id=public_id)


def _tell_secret(made: actions.NewEndpoint, *, status: int) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(NewEndpointSerializer(made.endpoint, context={"secret": made.secret}).data, status=status, headers=headers)
