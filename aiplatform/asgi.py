"""The web process: static files apart from everything else, bodies bounded while they arrive, safe headers on each answer.

Whoever may not even see the back office is looked at before any of it.
"""

import asyncio
import os
import tempfile
from typing import cast

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aiplatform.settings")

from asgiref.sync import sync_to_async
from asgiref.wsgi import WsgiToAsgi
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.urls import get_resolver
from whitenoise import WhiteNoise

from apps.files.domain.parts import PART_BYTES
from apps.lib.body_limit import Application, BodyLimit, Message, Receive, Send
from apps.lib.closed_folder import ClosedFolder
from apps.lib.http_errors import ApiError
from apps.lib.quick_loops import keep_loops_quick
from apps.lib.safe_headers import SafeHeaders
from apps.lib.shutdown import heed_signals

# Found out now and kept: looked for when descriptors are short, there seems to be none, and nobody would know why.
tempfile.gettempdir()

_django = cast("Application", get_asgi_application())
# uvicorn has set its own by now, and lets those who are being answered finish: what would go on for ever must hear of it.
heed_signals()


def _nothing(_environ: object, start_response: object) -> list[bytes]:
    start_response("404 Not Found", [("Content-Type", "text/plain")])  # type: ignore[operator]  # WSGI's callable
    return [b"There is no such static file."]


# WhiteNoise is sync only: in front of everything it would send each waiting call through a thread.
_files: Application = WsgiToAsgi(  # type: ignore[no-untyped-call]  # asgiref types only half of itself
    WhiteNoise(_nothing, root=settings.STATIC_ROOT, prefix=settings.STATIC_URL, max_age=3600, allow_all_origins=False)
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


# All that take whole files.
_TAKE_FILES = {"/v1/files", "/api/documents", f"{settings.ADMIN_PATH}jobs/job/new"}
_COLLECTIONS = f"{settings.ADMIN_PATH}knowledge/collection/"


def _is_part(path: str) -> bool:
    return path.startswith("/v1/uploads/") and path.rstrip("/").endswith("/parts")


def _takes_file(path: str) -> bool:
    path = path.rstrip("/")
    return path in _TAKE_FILES or (path.startswith(_COLLECTIONS) and path.endswith("/upload"))


def _limit_of(path: str) -> int:
    if _takes_file(path):
        return settings.MAX_FILE_BYTES
    return PART_BYTES if _is_part(path) else settings.MAX_LINE_BYTES


# How much of the space that must stay free is there for reading what may have been taken before.
_SPACE_OF_REPEATS = 0.25


def _refusal_of(scope: Message, declared: int) -> ApiError | None:
    """An upload that there is no space for; asked before its first byte is taken."""
    from apps.files.queries import find_lack_of_space  # noqa: PLC0415 -- this module is imported before the tables are there

    path = scope["path"]
    if not (_takes_file(path) or _is_part(path)) or scope["method"] != "POST":
        return None
    return find_lack_of_space(declared, share=_SPACE_OF_REPEATS if _may_be_repeated(scope) else 1.0)


def _may_be_repeated(scope: Message) -> bool:
    """It may have been taken before, and then gets its answer whatever space is left; only its bytes tell. The view asks for the rest."""
    headers = dict(scope["headers"])
    return b"idempotency-key" in headers or headers.get(b"x-stainless-retry-count", b"0") != b"0"


# So much of a body Django keeps in memory; what is longer it writes down.
_UNWRITTEN_BYTES = settings.FILE_UPLOAD_MAX_MEMORY_SIZE


def _is_form_of_files(scope: Message) -> bool:
    """Its files are written down while it is read, however small; and for its CSRF token it is read before anybody asks who sent it."""
    return any(name == b"content-type" and b"multipart/" in value.lower() for name, value in scope["headers"])


async def _ask_sender(scope: Message) -> ApiError | None:
    """What is written to the disk is taken from somebody who may come in."""
    from aiplatform.senders import find_stranger  # noqa: PLC0415 -- this module is imported before the tables are there

    return await sync_to_async(find_stranger, thread_sensitive=False)(scope)


# All views, so that no first request waits for them; then nothing more is loaded.
get_resolver().url_patterns  # noqa: B018 -- reading it loads them
keep_loops_quick()

_bounded: Application = BodyLimit(
    _dispatch,
    limit_of=_limit_of,
    refusal_of=_refusal_of,
    ask_sender=_ask_sender,
    unasked_bytes=_UNWRITTEN_BYTES,
    is_written=_is_form_of_files,
)
_closed: Application = ClosedFolder(_bounded, folder=settings.ADMIN_PATH, networks=settings.ADMIN_ADDRESSES)
application: Application = SafeHeaders(_closed if settings.ADMIN_ADDRESSES else _bounded, hsts_seconds=settings.SECURE_HSTS_SECONDS)
