"""`/api/conversations`: begin conversations, look at them and at what was said, fork and delete them."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.permissions import key_of
from apps.conversations.actions import delete_conversation
from apps.conversations.queries.turns import conversations_of, find_conversation, turns_of
from apps.jobs import actions
from apps.jobs.domain.call_request import Caller
from apps.jobs.serializers.conversations import (
    ConversationChangeSerializer,
    ConversationRequestSerializer,
    ConversationSerializer,
    ForkRequestSerializer,
    TurnSerializer,
    present_turns,
)
from apps.lib.clock import current_time
from apps.lib.cursor_pages import CursorPages


@extend_schema_view(
    get=extend_schema(
        operation_id="list_conversations",
        tags=["conversations"],
        parameters=[OpenApiParameter("end_user", str, description="Those of this person alone.")],
    )
)
class ConversationsView(ListAPIView[Any]):
    """The workspace's conversations, newest first."""

    required_scope = "chat"
    queryset = conversations_of(None)
    serializer_class = ConversationSerializer
    pagination_class = CursorPages
    page_order = ("-id",)

    def get_queryset(self) -> QuerySet[Any]:
        found = conversations_of(key_of(self.request).workspace_id)
        end_user = self.request.query_params.get("end_user")
        return found.filter(end_user=end_user) if end_user else found

    @extend_schema(
        operation_id="create_conversation",
        tags=["conversations"],
        request=ConversationRequestSerializer,
        responses={201: ConversationSerializer},
    )
    def post(self, request: Request) -> Response:
        """Begin a conversation. Nothing is asked yet: turns are."""
        wanted = ConversationRequestSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        key = key_of(request)
        made = actions.begin_conversation(
            caller=Caller(workspace_id=key.workspace_id, api_key_id=key.id), **wanted.validated_data, now=current_time()
        )
        return Response(_present(made), status=201)


class ConversationView(APIView):
    """One conversation."""

    required_scope = "chat"

    @extend_schema(operation_id="retrieve_conversation", tags=["conversations"], responses=ConversationSerializer)
    def get(self, request: Request, conversation_id: str) -> Response:
        """As it is now: a turn that has ended meanwhile is in it."""
        found = _conversation(request, conversation_id)
        actions.close_turns(conversation_id=found.id)
        return Response(_present(found))

    @extend_schema(
        operation_id="change_conversation", tags=["conversations"], request=ConversationChangeSerializer, responses=ConversationSerializer
    )
    def patch(self, request: Request, conversation_id: str) -> Response:
        """Change what the next turns are asked with."""
        found = _conversation(request, conversation_id)
        wanted = ConversationChangeSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        return Response(_present(actions.change_conversation(found, **wanted.validated_data, now=current_time())))

    @extend_schema(operation_id="delete_conversation", tags=["conversations"], responses={204: None})
    def delete(self, request: Request, conversation_id: str) -> Response:
        """Delete it with all that was said in it. What it cost stays in the ledger."""
        found = _conversation(request, conversation_id)
        delete_conversation(workspace_id=found.workspace_id, key=found.id, now=current_time())
        return Response(status=204)


class ConversationForkView(APIView):
    """Another conversation that begins as this one was."""

    required_scope = "chat"

    @extend_schema(
        operation_id="fork_conversation", tags=["conversations"], request=ForkRequestSerializer, responses={201: ConversationSerializer}
    )
    def post(self, request: Request, conversation_id: str) -> Response:
        """Its turns up to the version are copied; what they were answered from is the same for both."""
        found = _conversation(request, conversation_id)
        wanted = ForkRequestSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        return Response(_present(actions.fork_at(found, version=wanted.validated_data["version"], now=current_time())), status=201)


@extend_schema_view(get=extend_schema(operation_id="read_history", tags=["conversations"]))
class HistoryView(ListAPIView[Any]):
    """What was said, the newest turn first."""

    required_scope = "chat"
    queryset = turns_of(None)
    serializer_class = TurnSerializer
    pagination_class = CursorPages
    page_order = ("-id",)

    def get_queryset(self) -> QuerySet[Any]:
        found = _conversation(self.request, self.kwargs["conversation_id"])
        actions.close_turns(conversation_id=found.id)
        return turns_of(found.id)

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        if not args:
            return super().get_serializer(*args, **kwargs)
        return TurnSerializer(present_turns(key_of(self.request).workspace_id, args[0]), **kwargs)


def _conversation(request: Request, conversation_id: str) -> Any:
    return find_conversation(workspace_id=key_of(request).workspace_id, conversation_id=conversation_id)


def _present(conversation: Any) -> Any:
    found = find_conversation(workspace_id=conversation.workspace_id, conversation_id=conversation.public_id)
    return ConversationSerializer(found).data
