"""Confirm a second factor by the first code of the app; from then on nobody gets in with the password alone."""

from datetime import datetime

from django.conf import settings
from django.db import transaction

from apps.accounts.actions.check_code import check_code
from apps.accounts.actions.record_audit import record_audit
from apps.accounts.domain.keys import mark_pepper
from apps.accounts.domain.second_factor import CodeRefusedError, hash_recovery_code, make_recovery_codes, mark_of
from apps.accounts.models import Authenticator, User
from apps.lib.sealing import unseal

_CHANGED = "Meanwhile this was begun anew, somewhere else. Scan the code below, and enter what the app shows then."


def confirm_second_factor(user: User, *, code: str, mark: str, now: datetime) -> tuple[Authenticator, list[str]]:
    """The authenticator, and the recovery codes, which are told this once. `mark`: of the secret that this session was shown.

    CodeRefusedError when the code is wrong, or the secret is another by now.
    """
    row = check_code(code, user_id=user.pk, is_confirmed=False, now=now)
    codes = make_recovery_codes()
    with transaction.atomic():
        known = Authenticator.objects.select_for_update().filter(pk=row.pk, confirmed=False).first()
        if known is None or mark_of(_secret_of(known)) != mark:
            raise CodeRefusedError(_CHANGED)
        known.confirmed = True
        known.recovery_hashes = [hash_recovery_code(one, pepper=settings.SECRET_KEY) for one in codes]
        known.hashed_under = mark_pepper(settings.SECRET_KEY)
        known.save(update_fields=["confirmed", "recovery_hashes", "hashed_under"])
        User.objects.filter(pk=user.pk).update(second_factor_since=now)
        record_audit(verb="set up the second factor", object_type="user", object_id=user.pk, object_label=user.get_username())
    return known, codes


def _secret_of(row: Authenticator) -> str:
    """It opens: a code of it has just been checked."""
    return unseal(row.secret_sealed, keys=settings.ENCRYPTION_KEYS, owner=row.seal_owner)
