"""Pause a feature or a key that has run away: until somebody lifts it nothing more of it is sent."""

from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction

from apps.spend.actions.change_budget import change_budget, lock_budget
from apps.spend.domain.budgets import Owner, PeriodKind
from apps.spend.models import Budget

# Whoever lifts a pause has looked at it: for so long it is told again, and not stopped again.
LEFT_ALONE = timedelta(hours=24)


def pause_spending(*, owner: Owner, reason: str, now: datetime) -> bool:
    """False when it was paused already, or was lifted lately. A pause is a hard budget without room: claims leave its items out."""
    off = {"cap_usd": Decimal(0), "is_hard": True, "is_active": False}
    with transaction.atomic():
        pause, _ = Budget.objects.get_or_create(period=PeriodKind.PAUSE, **owner.as_columns(), defaults=off)
        pause = lock_budget(pause.id)
        if pause.lifted_at is not None and now - pause.lifted_at < LEFT_ALONE:
            return False
        _, is_new = change_budget(budget_id=pause.id, values={"is_active": True}, reason=reason, by_platform=True)
    return is_new
