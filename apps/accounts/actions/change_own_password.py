"""Change one's own password; whoever does it has given the one of before."""

from django.db import transaction

from apps.accounts.actions.record_audit import record_audit
from apps.accounts.domain.audit import SECRET
from apps.accounts.models import User


@transaction.atomic
def change_own_password(user: User, *, password: str) -> User:
    """Of the password only that it was changed is written down."""
    user.set_password(password)
    user.save(update_fields=["password"])
    record_audit(verb="changed", object_type="user", object_id=user.pk, object_label=user.get_username(), after={"password": SECRET})
    return user
