"""Check a code of somebody's app, or one of their recovery codes. Wrong ones make the next one wait, twice as long each time."""

import math
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import transaction

from apps.accounts.actions.record_audit import record_audit
from apps.accounts.domain.second_factor import CodeRefusedError, hash_recovery_code, match_totp
from apps.accounts.models import Authenticator
from apps.lib.sealing import SealInvalidError, unseal

_WRONG = "This is not the code of this moment. Enter the six digits that the app shows now, or a recovery code that wasn't used yet."
_UNREADABLE = "The secret of this app can't be read any more; a superuser can switch the second factor off for you."

_GUESSES = 5


def check_code(code: str, *, user_id: UUID, is_confirmed: bool = True, now: datetime) -> Authenticator:
    """The authenticator that the code is of; CodeRefusedError says why not. Each code counts once, however often it is sent."""
    with transaction.atomic():
        rows = Authenticator.objects.select_for_update(of=("self",)).select_related("user")
        row: Authenticator | None = rows.filter(user_id=user_id, confirmed=is_confirmed).first()
        if row is None:
            raise CodeRefusedError(_WRONG)
        complaint = _refusal(row, code, now)
    # Outside: what a refusal counted stays.
    if complaint:
        raise CodeRefusedError(complaint)
    return row


def _refusal(row: Authenticator, code: str, now: datetime) -> str:
    allowed, why = row.verify_is_allowed()
    if not allowed:
        wait = max(1, math.ceil((why["locked_until"] - now).total_seconds()))
        return f"Too many wrong codes: the next one is looked at in {wait} s."
    try:
        # These first: they open when the sealed secret doesn't.
        is_right = _take_recovery_code(row, code) or _take_totp(row, code, now)
    except SealInvalidError:
        return _UNREADABLE
    if not is_right:
        row.throttle_increment()
        _tell_of_guessing(row)
        return _WRONG
    row.throttle_reset(commit=False)
    row.save()
    return ""


def _tell_of_guessing(row: Authenticator) -> None:
    """Once for each row of wrong codes: whoever gets here knows the password."""
    if row.throttling_failure_count == _GUESSES:
        who = row.user.get_username()
        record_audit(verb=f"gave {_GUESSES} wrong codes in a row", object_type="user", object_id=row.user_id, object_label=who)


def _take_totp(row: Authenticator, code: str, now: datetime) -> bool:
    secret = unseal(row.secret_sealed, keys=settings.ENCRYPTION_KEYS, owner=row.seal_owner)
    matched = match_totp(code, secret=secret, last_step=row.last_step, drift=row.drift, at=now.timestamp())
    if matched is not None:
        row.last_step, row.drift = matched.step, matched.drift
    return matched is not None


def _take_recovery_code(row: Authenticator, code: str) -> bool:
    hashes = {hash_recovery_code(code, pepper=pepper) for pepper in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)}
    left = [other for other in row.recovery_hashes if other not in hashes]
    if len(left) == len(row.recovery_hashes):
        return False
    row.recovery_hashes = left
    who = row.user.get_username()
    after = {"recovery codes left": len(row.recovery_hashes)}
    record_audit(verb="used a recovery code", object_type="user", object_id=row.user_id, object_label=who, after=after)
    return True
