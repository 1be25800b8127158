"""Raise, lower, harden, soften or switch a budget; it holds for the next claim."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from apps.lib.http_errors import ApiError
from apps.spend.actions.tell_budget import tell_changed
from apps.spend.models import Budget

_MOST_USD, _PLACES = Decimal(10**8), 12
_CHANGEABLE = ("cap_usd", "is_hard", "is_active")


def change_budget(*, budget_id: UUID, values: Mapping[str, Any], reason: str = "", by_platform: bool = False) -> tuple[Budget, bool]:
    """(the budget, whether anything changed); what `values` leave out stays. ApiError 404 for an unknown one, 400 for a bad amount.

    A pause is the platform's to set; people lift it.
    """
    if "cap_usd" in values:
        require_amount(values["cap_usd"], "cap_usd")
    with transaction.atomic():
        budget = lock_budget(budget_id)
        before = {name: getattr(budget, name) for name in _CHANGEABLE}
        changed = {name: values[name] for name in _CHANGEABLE if name in values and values[name] != before[name]}
        if not changed:
            return budget, False
        if budget.is_pause:
            if changed.get("is_active") and not by_platform:
                raise refused_of_pause()
            _note_switched(budget, changed)
        for name, value in changed.items():
            setattr(budget, name, value)
        budget.save(update_fields=list(changed))
        tell_changed(budget, _verb(budget), before=_told(before, changed), after=_told(changed, changed), reason=reason)
    return budget, True


def _verb(budget: Budget) -> str:
    if not budget.is_pause:
        return "changed"
    return "paused" if budget.is_active else "lifted"


def _note_switched(budget: Budget, changed: Mapping[str, Any]) -> None:
    """When it was, for whoever asks, and so that what a person has lifted isn't paused again at once."""
    if set(changed) != {"is_active"}:
        raise refused_of_pause()
    Budget.objects.filter(id=budget.id).update(**{"paused_at" if changed["is_active"] else "lifted_at": Now()})
    budget.refresh_from_db(fields=["paused_at", "lifted_at"])


def refused_of_pause() -> ApiError:
    """Nothing but lifting it makes sense."""
    return ApiError(400, "invalid_value", "A pause has no cap: lift it (active: false), and what it holds goes on.")


def lock_budget(budget_id: UUID) -> Budget:
    """ApiError 404 when there is none."""
    budget = Budget.objects.select_for_update(no_key=True).filter(id=budget_id).first()
    if budget is None:
        raise ApiError(404, "not_found", "There is no such budget.")
    return budget


def require_amount(amount: Decimal, name: str) -> None:
    """US dollars as the columns hold them; ApiError 400 otherwise."""
    if not (amount.is_finite() and 0 <= amount < _MOST_USD and amount == round(amount, _PLACES)):
        message = f"{name} must be US dollars from 0 to below 100 million, with at most {_PLACES} places."
        raise ApiError(400, "invalid_value", message, param=name)


def _told(values: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    return {name: f"{values[name].normalize():f}" if isinstance(values[name], Decimal) else values[name] for name in names}
