"""Make new recovery codes; the old ones are worth nothing from then on."""

from datetime import datetime

from django.conf import settings
from django.db import transaction

from apps.accounts.actions.check_code import check_code
from apps.accounts.actions.record_audit import record_audit
from apps.accounts.domain.keys import mark_pepper
from apps.accounts.domain.second_factor import CodeRefusedError, hash_recovery_code, make_recovery_codes
from apps.accounts.models import Authenticator, User

_GONE = "Meanwhile somebody has switched this second factor off."


def renew_recovery_codes(user: User, *, code: str, now: datetime) -> list[str]:
    """The new ones, told this once. CodeRefusedError when the code that it takes is wrong."""
    row = check_code(code, user_id=user.pk, now=now)
    codes = make_recovery_codes()
    with transaction.atomic():
        hashes = [hash_recovery_code(one, pepper=settings.SECRET_KEY) for one in codes]
        written = {"recovery_hashes": hashes, "hashed_under": mark_pepper(settings.SECRET_KEY)}
        if not Authenticator.objects.filter(pk=row.pk).update(**written):
            raise CodeRefusedError(_GONE)
        record_audit(verb="renewed the recovery codes", object_type="user", object_id=user.pk, object_label=user.get_username())
    return codes
