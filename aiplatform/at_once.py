"""Django's middleware that does no I/O, where a request is a single call: on the event loop, at once.

Elsewhere each step of it goes through the request's own thread, and each change of thread waits for its turn among all others.
What Django's own checks look for by name stays Django's.
"""

from typing import Any

from csp.middleware import CSPMiddleware
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.middleware.common import CommonMiddleware

# Nobody signs in to these, and their views look at no session.
_CALLS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses")


class _AtOnce:
    """In front of Django's own `MiddlewareMixin`."""

    async def __acall__(self, request: HttpRequest) -> Any:
        if request.path not in _CALLS:
            return await super().__acall__(request)  # type: ignore[misc]  # the mixin's
        before, after = getattr(self, "process_request", None), getattr(self, "process_response", None)
        response = (before(request) if before else None) or await self.get_response(request)  # type: ignore[attr-defined]  # the mixin's
        return after(request, response) if after else response


class ContentPolicy(_AtOnce, CSPMiddleware):
    """As django-csp's."""


class Sessions(_AtOnce, SessionMiddleware):
    """As Django's; a session is read by who looks at it, and no call does."""


class Common(_AtOnce, CommonMiddleware):
    """As Django's."""


class Authentication(_AtOnce, AuthenticationMiddleware):
    """As Django's; the user is read by who looks at it, and no call does."""


class Messages(_AtOnce, MessageMiddleware):
    """As Django's; calls leave none."""
