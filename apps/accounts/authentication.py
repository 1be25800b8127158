"""API keys, for REST framework's views."""

from typing import Any

from django.contrib.auth.models import AnonymousUser
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from apps.accounts.actions import authenticate_key
from apps.accounts.models import ApiKey
from apps.lib.clock import current_time


class ApiKeyAuthentication(BaseAuthentication):
    """`request.auth` is the live ApiKey; without one the request is refused with 401, whatever the route."""

    def authenticate(self, request: Request) -> tuple[Any, ApiKey]:
        address = request.META.get("REMOTE_ADDR", "")
        return AnonymousUser(), authenticate_key(request.headers.get("Authorization"), now=current_time(), address=address)

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 -- the framework's signature
        return "Bearer"


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself by an untyped hook
    """How the API's schema tells it."""

    target_class = ApiKeyAuthentication
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:  # noqa: ARG002 -- the framework's signature
        return {"type": "http", "scheme": "bearer"}
