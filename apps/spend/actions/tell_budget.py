"""After a change of a budget: write it down, and ring for what had waited for it."""

from collections.abc import Mapping
from typing import Any

from apps.accounts.actions import record_audit
from apps.lib.enqueue import enqueue
from apps.spend.models import Budget


def tell_changed(budget: Budget, verb: str, *, before: Mapping[str, Any], after: Mapping[str, Any], reason: str = "") -> None:
    """Inside the transaction of the change. A lost ring is made up by the sweep."""
    record_audit(
        verb=verb,
        object_type="budget",
        object_id=budget.id,
        object_label=str(budget),
        workspace_id=budget.workspace_id,
        before=before,
        after=after,
        reason=reason,
    )
    enqueue("jobs.release_held", queue="control", budget_id=str(budget.id))
