"""Set a budget: there is one for each owner and period; it is made, or changed to these values."""

from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from django.db import transaction

from apps.accounts.queries import find_workspace_of_key, has_workspace
from apps.lib.http_errors import ApiError
from apps.spend.actions.change_budget import change_budget, require_amount
from apps.spend.actions.tell_budget import tell_changed
from apps.spend.domain.budgets import PERIODS, Owner, ScopeKind
from apps.spend.models import Budget


class BudgetSet(NamedTuple):
    """The budget, and whether it is new, or at least other than before."""

    budget: Budget
    is_new: bool
    is_changed: bool


def set_budget(*, owner: Owner, period: str, cap_usd: Decimal, is_hard: bool = True, is_active: bool = True, reason: str = "") -> BudgetSet:
    """ApiError 400 names what is wrong."""
    if period not in PERIODS:
        raise ApiError(400, "invalid_value", f"period must be one of {', '.join(PERIODS)}.", param="period")
    require_amount(cap_usd, "cap_usd")
    _require_owner(owner)
    values = {"cap_usd": cap_usd, "is_hard": is_hard, "is_active": is_active}
    with transaction.atomic():
        budget, is_new = Budget.objects.get_or_create(period=period, **owner.as_columns(), defaults=values)
        if not is_new:
            budget, is_changed = change_budget(budget_id=budget.id, values=values, reason=reason)
            return BudgetSet(budget, is_new=False, is_changed=is_changed)
        after = {"cap_usd": str(cap_usd), "is_hard": is_hard, "is_active": is_active, "period": period}
        tell_changed(budget, "added", before={}, after=after, reason=reason)
    return BudgetSet(budget, is_new=True, is_changed=True)


def _require_owner(owner: Owner) -> None:
    scope = owner.scope
    if scope == ScopeKind.WORKSPACE and owner.workspace_id is None:
        raise ApiError(400, "missing_required_parameter", "A budget of a workspace needs the workspace.", param="workspace")
    if scope in {ScopeKind.USER, ScopeKind.FEATURE} and not owner.subject:
        raise ApiError(400, "missing_required_parameter", "Say which end user or feature it bounds.", param="name")
    if owner.workspace_id is not None and not has_workspace(owner.workspace_id):
        raise ApiError(404, "not_found", "There is no such workspace.", param="workspace")
    if scope == ScopeKind.API_KEY and (owner.api_key_id is None or find_workspace_of_key(owner.api_key_id) != owner.workspace_id):
        raise ApiError(400, "invalid_value", "There is no such key in this workspace.", param="api_key")
    if scope == ScopeKind.JOB and owner.job_id is None:
        raise ApiError(400, "missing_required_parameter", "A budget of a job needs the job's id.", param="job_id")


def owner_of_key(*, key_id: UUID) -> Owner:
    """Of an API key, with the workspace that it belongs to."""
    return Owner(ScopeKind.API_KEY, workspace_id=find_workspace_of_key(key_id), api_key_id=key_id)
