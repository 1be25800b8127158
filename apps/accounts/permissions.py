"""What a key may be used for."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.accounts.models import ApiKey
from apps.lib.http_errors import ApiError


def key_of(request: Request) -> ApiKey:
    """The key that a request came with; only behind ApiKeyAuthentication, which lets nobody in without one."""
    if not isinstance(request.auth, ApiKey):
        raise ApiError(401, "invalid_api_key", "Send an API key as 'Authorization: Bearer <key>'.")
    return request.auth


def require_scope(key: ApiKey, scope: str) -> None:
    """ApiError 403 that names the scope which `key` lacks."""
    if scope not in key.scopes:
        message = f"This API key lacks the scope '{scope}'; make one with it in the back office or by 'manage.py create_api_key'."
        raise ApiError(403, "missing_scope", message)


class HasScope(BasePermission):
    """The view says which scope it needs, as `required_scope`; a view that says nothing lets nobody in."""

    def has_permission(self, request: Request, view: Any) -> bool:
        scope = getattr(view, "required_scope", None)
        if scope is None or not isinstance(request.auth, ApiKey):
            return False
        require_scope(request.auth, scope)
        return True
