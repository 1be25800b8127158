"""What every answer of the web process tells browsers, whoever gave it: Django, static files, a refusal in front of both.

ASGI, and the outermost of all, so that nothing that answers by itself can forget it. A header that is set already stays as it is.
"""

from collections.abc import Mapping, MutableMapping
from typing import Any

from apps.lib.body_limit import Application, Message, Receive, Send

SAFE_HEADERS: Mapping[str, str] = {
    # Django's own answers have the policy of the settings; what is answered without Django loads nothing.
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    # Nearly everything is behind a key or a session; only what says so itself (static files) may be kept by anybody.
    "cache-control": "no-store",
}


class SafeHeaders:
    """ASGI: adds to each answer what it lacks of SAFE_HEADERS; with `hsts_seconds`, that the host is to be asked by https alone."""

    def __init__(self, application: Application, *, hsts_seconds: int = 0) -> None:
        hsts = {"strict-transport-security": f"max-age={hsts_seconds}; includeSubDomains; preload"} if hsts_seconds else {}
        self.application = application
        self._headers = [(name.encode(), value.encode()) for name, value in (dict(SAFE_HEADERS) | hsts).items()]

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                there = {name.lower() for name, _ in given}
                message["headers"] = given + [header for header in self._headers if header[0] not in there]
            await send(message)

        await self.application(scope, receive, send_with_headers if scope["type"] == "http" else send)
