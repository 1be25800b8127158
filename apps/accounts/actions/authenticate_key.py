"""Whose key is this?"""

from datetime import datetime, timedelta

from django.conf import settings

from apps.accounts.domain.keys import hash_secret, is_plausible
from apps.accounts.models import ApiKey
from apps.lib.http_errors import ApiError

# `last_used_at` is for people: to the minute is enough, and a write for each request is not.
_SEEN_EVERY = timedelta(minutes=1)


def authenticate_key(authorization: str | None, *, now: datetime) -> ApiKey:
    """The live key behind an `Authorization: Bearer` header; ApiError 401 otherwise. Nothing is cached: revoking works at once."""
    scheme, _, secret = (authorization or "").partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret:
        raise _refuse("No API key was sent. Send it as 'Authorization: Bearer <key>'; 'manage.py create_api_key' makes one.")
    if not is_plausible(secret):
        raise _refuse("This is not an API key of this platform.")
    key = ApiKey.objects.filter(secret_hash=hash_secret(secret, pepper=settings.SECRET_KEY)).first()
    if key is None:
        raise _refuse("Incorrect API key.")
    if key.revoked_at is not None:
        raise _refuse("This API key has been revoked.")
    if key.expires_at is not None and key.expires_at <= now:
        raise _refuse("This API key has expired.")
    if key.last_used_at is None or key.last_used_at < now - _SEEN_EVERY:
        ApiKey.objects.filter(id=key.id).update(last_used_at=now)
    return key


def _refuse(message: str) -> ApiError:
    return ApiError(401, "invalid_api_key", message, headers={"WWW-Authenticate": "Bearer"})
