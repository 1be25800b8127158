"""Close a workspace that is to be deleted: from this moment on nobody comes in; and end it, once nothing of it is left."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.accounts.actions.record_audit import record_audit
from apps.accounts.models import ApiKey, Member, Workspace

_NAME_SHOWN = 70


@transaction.atomic
def close_workspace(*, workspace_id: UUID, contents: Mapping[str, Any], now: datetime, reason: str) -> bool:
    """True when it was open until now. Its keys are refused, its members see it no more, and its name can be used anew.

    The entry keeps the name and `contents` for good: it belongs to no workspace, so that superusers alone read it.
    """
    workspace = Workspace.objects.select_for_update().get(id=workspace_id)
    if workspace.deleting_at is not None:
        return False
    name = workspace.name
    workspace.name, workspace.deleting_at = f"{name[:_NAME_SHOWN]} (being deleted, {workspace_id.hex[-8:]})", now
    workspace.save(update_fields=["name", "deleting_at"])
    ApiKey.objects.filter(workspace=workspace, revoked_at=None).update(revoked_at=now)
    Member.objects.filter(workspace=workspace).delete()
    record_audit(
        verb="deleted",
        object_type="workspace",
        object_id=workspace_id,
        object_label=name,
        before=contents,
        after={},
        reason=reason,
    )
    return True


@transaction.atomic
def end_workspace(*, workspace_id: UUID, now: datetime) -> bool:
    """All that belonged to it is gone: its row stays without a name, for the charges and audit entries that have its id.

    False when it had come to its end before.
    """
    rows = Workspace.objects.filter(id=workspace_id, deleted_at=None).exclude(deleting_at=None)
    bare: dict[str, Any] = dict.fromkeys(("keep_bodies_days", "keep_runs_days", "keep_items_days", "keep_files_days"))
    if not rows.update(name=f"deleted workspace {workspace_id.hex[-12:]}", deleted_at=now, **bare):
        return False
    record_audit(verb="erased", object_type="workspace", object_id=workspace_id)
    return True
