"""Switch somebody's second factor off: themselves by a code, or a superuser for whoever lost the phone."""

from uuid import UUID

from django.db import transaction

from apps.accounts.actions.record_audit import record_audit
from apps.accounts.models import Authenticator, User


@transaction.atomic
def end_second_factor(*, user_id: UUID, reason: str = "") -> bool:
    """True when there was one."""
    user = User.objects.select_for_update().get(pk=user_id)
    Authenticator.objects.filter(user=user).delete()
    if user.second_factor_since is None:
        return False
    before = {"second_factor_since": user.second_factor_since}
    user.second_factor_since = None
    user.save(update_fields=["second_factor_since"])
    record_audit(
        verb="switched the second factor off",
        object_type="user",
        object_id=user.pk,
        object_label=user.get_username(),
        before=before,
        after={"second_factor_since": None},
        reason=reason,
    )
    return True
