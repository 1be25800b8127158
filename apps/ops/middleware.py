"""What the back office's theme needs of the content security policy, and nothing else gets."""

from collections.abc import Awaitable

from csp.constants import SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from apps.lib.middleware import EitherWay

# Alpine, which the theme is built on, evaluates expressions; its colours are a <style> block and its bars have style attributes.
_ADMIN_POLICY = {"script-src": [SELF, UNSAFE_EVAL], "style-src": [SELF, UNSAFE_INLINE]}


class BackOfficePolicy(EitherWay):
    """Loosens the policy below ADMIN_PATH alone. Inline scripts stay forbidden there, too."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self._answer(request)
        return _loosen(request, self.get_response(request))

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        return _loosen(request, await self.get_response(request))


def _loosen(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    if request.path.startswith(settings.ADMIN_PATH):
        response._csp_update = _ADMIN_POLICY  # type: ignore[attr-defined]  # noqa: SLF001 -- how django-csp's decorator passes it on
    return response
