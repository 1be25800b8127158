"""`/api/keys`: list, make and revoke the workspace's API keys."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.actions import create_api_key, revoke_api_key
from apps.accounts.domain.keys import Scope
from apps.accounts.models import ApiKey
from apps.accounts.permissions import key_of
from apps.accounts.queries import find_key, keys_of
from apps.accounts.serializers import ApiKeyRequestSerializer, ApiKeySerializer, NewApiKeySerializer, RevocationSerializer
from apps.lib.clock import current_time
from apps.lib.cursor_pages import CursorPages
from apps.lib.http_errors import GIVE_UP, ApiError


@extend_schema_view(get=extend_schema(operation_id="list_keys", tags=["keys"]))
class KeysView(ListAPIView[ApiKey]):
    """The workspace's keys, newest first, revoked ones included."""

    required_scope = "admin"
    queryset = ApiKey.objects.none()
    serializer_class = ApiKeySerializer
    pagination_class = CursorPages

    def get_queryset(self) -> QuerySet[ApiKey]:
        return keys_of(key_of(self.request).workspace_id)

    @extend_schema(operation_id="create_key", tags=["keys"], request=ApiKeyRequestSerializer, responses={201: NewApiKeySerializer})
    def post(self, request: Request) -> Response:
        """Make a key. Its secret is in this answer and nowhere else."""
        wanted = ApiKeyRequestSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        values = wanted.validated_data
        scopes = sorted({Scope(scope) for scope in values["scopes"]})
        if beyond := [scope for scope in scopes if scope not in key_of(request).scopes]:
            message = f"A key can't give what it lacks: {', '.join(beyond)}."
            raise ApiError(403, "missing_scope", message, param="scopes")
        made = create_api_key(
            workspace_id=key_of(request).workspace_id,
            name=values["name"],
            scopes=scopes,
            expires_at=values.get("expires_at"),
            reason=values.get("reason", ""),
        )
        made.key.refresh_from_db()
        return Response(NewApiKeySerializer(made.key, context={"secret": made.secret}).data, status=201)


class KeyRevokeView(APIView):
    """Revoke another key: its next request is refused. A second time it answers the same."""

    required_scope = "admin"

    @extend_schema(operation_id="revoke_key", tags=["keys"], request=RevocationSerializer, responses=ApiKeySerializer)
    def post(self, request: Request, key_id: str) -> Response:
        key = find_key(workspace_id=key_of(request).workspace_id, public_id=key_id)
        if key == key_of(request):
            message = "A key can't revoke itself: that could leave nobody to make another. Use a second key, or the back office."
            raise ApiError(409, "own_key", message, headers=GIVE_UP)
        wanted = RevocationSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        revoke_api_key(key_id=key.id, now=current_time(), reason=wanted.validated_data.get("reason", ""))
        key.refresh_from_db()
        return Response(ApiKeySerializer(key).data)
