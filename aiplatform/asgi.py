"""The web process: static files apart from everything else, and bodies bounded while they arrive."""

import asyncio
import os
from typing import cast

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aiplatform.settings")

from asgiref.wsgi import WsgiToAsgi
from django.conf import settings
from django.core.asgi import get_asgi_application
from whitenoise import WhiteNoise

from apps.files.domain.parts import PART_BYTES
from apps.lib.body_limit import Application, BodyLimit, Message, Receive, Send

_django = cast("Application", get_asgi_application())


def _nothing(_environ: object, start_response: object) -> list[bytes]:
    start_response("404 Not Found", [("Content-Type", "text/plain")])  # type: ignore[operator]  # WSGI's callable
    return [b"There is no such static file."]


# WhiteNoise is sync only: in front of everything it would send each waiting call through a thread.
_files: Application = WsgiToAsgi(  # type: ignore[no-untyped-call]  # asgiref types only half of itself
    WhiteNoise(_nothing, root=settings.STATIC_ROOT, prefix=settings.STATIC_URL, max_age=3600)
)


async def _static(scope: Message, receive: Receive, send: Send) -> None:
    """The answer is sent from here, not from inside the bridge to WSGI.

    uvicorn starts the connection's next request in the context of whoever ends the last one; the bridge's context names a thread
    that is gone by then, and the next request on the same connection would answer 500.
    """
    messages: list[Message] = []

    async def keep(message: Message) -> None:
        messages.append(message)

    await asyncio.ensure_future(_files(scope, receive, keep))
    for message in messages:
        await send(message)


async def _dispatch(scope: Message, receive: Receive, send: Send) -> None:
    is_static = scope["type"] == "http" and scope["path"].startswith(settings.STATIC_URL)
    await (_static if is_static else _django)(scope, receive, send)


def _limit_of(path: str) -> int:
    if path in {"/v1/files", "/v1/files/"} or path.startswith("/admin/"):
        return settings.MAX_FILE_BYTES
    return PART_BYTES if path.startswith("/v1/uploads/") and path.rstrip("/").endswith("/parts") else settings.MAX_LINE_BYTES


application: Application = BodyLimit(_dispatch, limit_of=_limit_of)
