"""Whose key is this?"""

from datetime import datetime, timedelta

from django.conf import settings

from apps.accounts.actions.count_refusal import count_refusal
from apps.accounts.domain.keys import hash_secret, is_plausible, mark_pepper
from apps.accounts.models import ApiKey
from apps.lib.http_errors import ApiError

# `last_used_at` is for people: to the minute is enough, and a write for each request is not.
_SEEN_EVERY = timedelta(minutes=1)


def authenticate_key(authorization: str | None, *, now: datetime, address: str = "") -> ApiKey:
    """The live key behind an `Authorization: Bearer` header; ApiError 401 otherwise. Nothing is cached: revoking works at once.

    With `address` a refusal is counted, and is a 429 once too many came from there; who has a good key never notices.
    """
    try:
        return _find(authorization, now)
    except ApiError as refused:
        raise count_refusal(refused, address=address) from None


def _find(authorization: str | None, now: datetime) -> ApiKey:
    scheme, _, secret = (authorization or "").partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret:
        raise _refuse("No API key was sent. Send it as 'Authorization: Bearer <key>'; 'manage.py create_api_key' makes one.")
    if not is_plausible(secret):
        raise _refuse("This is not an API key of this platform.")
    hashes = [hash_secret(secret, pepper=pepper) for pepper in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]
    key = ApiKey.objects.select_related("workspace").filter(secret_hash__in=hashes).first()
    if key is None:
        raise _refuse("Incorrect API key.")
    if key.revoked_at is not None:
        raise _refuse("This API key has been revoked.")
    if key.workspace.deleting_at is not None:
        raise _refuse("The workspace of this API key has been deleted.")
    if key.expires_at is not None and key.expires_at <= now:
        raise _refuse("This API key has expired.")
    if key.last_used_at is None or key.last_used_at < now - _SEEN_EVERY:
        # What was hashed with a SECRET_KEY of before is hashed with the present one, so that the earlier one can go some day.
        hashed = {"secret_hash": hashes[0], "hashed_under": mark_pepper(settings.SECRET_KEY)}
        ApiKey.objects.filter(id=key.id).update(last_used_at=now, **hashed)
    return key


def _refuse(message: str) -> ApiError:
    return ApiError(401, "invalid_api_key", message, headers={"WWW-Authenticate": "Bearer"})
