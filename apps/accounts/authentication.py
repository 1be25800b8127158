"""API keys, for REST framework's views."""

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from apps.accounts.actions import authenticate_key
from apps.accounts.models import ApiKey


class ApiKeyAuthentication(BaseAuthentication):
    """`request.auth` is the live ApiKey; without one the request is refused with 401, whatever the route."""

    def authenticate(self, request: Request) -> tuple[Any, ApiKey]:
        return AnonymousUser(), authenticate_key(request.headers.get("Authorization"), now=timezone.now())

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 -- the framework's signature
        return "Bearer"
