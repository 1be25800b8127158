"""Who sends a long body, asked before it is taken: a live API key, or in the back office somebody who has signed in, with all it takes."""

from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.db import connection
from django.http import HttpRequest, parse_cookie
from django_otp import DEVICE_ID_SESSION_KEY
from django_otp.models import Device

from apps.accounts.actions import authenticate_key
from apps.accounts.permissions import sign_in_step
from apps.lib.body_limit import Message
from apps.lib.clock import current_time
from apps.lib.http_errors import ApiError, as_api_error

_SIGN_IN = ApiError(403, "permission_denied", "Nobody is signed in, or no longer. Open this page again, sign in, and choose the file anew.")


def find_stranger(scope: Message) -> ApiError | None:
    """What to answer a sender who may not come in; None for who may. Runs in a thread of its own, outside of any request."""
    try:
        if scope["path"].startswith(settings.ADMIN_PATH):
            return None if _is_staff(scope) else _SIGN_IN
        address = (scope.get("client") or ("",))[0]
        authenticate_key(_header(scope, b"authorization"), now=current_time(), address=address)
    except Exception as error:
        refusal = as_api_error(error)
        if refusal is None:
            raise
        return refusal
    finally:
        # No request ends here that would give it back to the pool.
        connection.close()
    return None


class _Seen(dict[str, Any]):
    """A session that is looked at: only the request itself may renew or end it, and tell the browser."""

    def cycle_key(self) -> None:
        pass

    def flush(self) -> None:
        pass


def _is_staff(scope: Message) -> bool:
    key = parse_cookie(_header(scope, b"cookie")).get(settings.SESSION_COOKIE_NAME)
    if not key:
        return False
    request: Any = HttpRequest()
    request.session = _Seen(import_module(settings.SESSION_ENGINE).SessionStore(key).load())
    user: Any = get_user(request)
    # What django-otp's middleware will find, too.
    device = Device.from_persistent_id(str(request.session.get(DEVICE_ID_SESSION_KEY, "")))
    user.otp_device = device if device is not None and device.user_id == user.pk else None
    return bool(user.is_active and user.is_staff) and not sign_in_step(user)


def _header(scope: Message, name: bytes) -> str:
    return "; ".join(value.decode("latin-1") for known, value in scope["headers"] if known == name)
