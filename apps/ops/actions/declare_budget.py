"""Declare one budget of the file of `manage.py apply`."""

from uuid import UUID

from apps.accounts.actions import ensure_workspace
from apps.accounts.queries import find_keys_named
from apps.lib.http_errors import ApiError
from apps.ops.domain.config_file import BudgetEntry, ConfigInvalidError
from apps.spend.actions import owner_of_key, set_budget
from apps.spend.domain.budgets import Owner


def declare_budget(entry: BudgetEntry) -> list[str]:
    """What was changed, in a line; a workspace that is missing is made. ConfigInvalidError when it names nobody."""
    where = f"[[budgets]] {entry.name or entry.scope}"
    workspace_id = ensure_workspace(name=entry.workspace).id if entry.workspace else None
    if entry.scope == "api_key":
        owner = owner_of_key(key_id=_find_key(entry, workspace_id, where))
    else:
        owner = Owner(entry.scope, workspace_id=workspace_id, subject=entry.name if entry.scope in {"user", "feature"} else "")
    try:
        made = set_budget(owner=owner, period=entry.period, cap_usd=entry.limit_usd, is_hard=entry.is_hard, is_active=entry.is_active)
    except ApiError as refused:
        raise ConfigInvalidError(f"{where}: {refused.message}") from refused
    kind = f"{'hard' if entry.is_hard else 'soft'}{'' if entry.is_active else ', off'}"
    return [f"budget of {made.budget}: ${entry.limit_usd} ({kind})"] if made.is_changed else []


def _find_key(entry: BudgetEntry, workspace_id: UUID | None, where: str) -> UUID:
    found = find_keys_named(entry.name, workspace_id=workspace_id)
    if not found:
        raise ConfigInvalidError(f"{where}: there is no live API key of that name.")
    if len(found) > 1:
        raise ConfigInvalidError(f"{where}: {len(found)} live API keys are called so; name the workspace, or rename one.")
    return found[0]
