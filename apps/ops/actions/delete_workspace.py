"""Delete a workspace: it is closed at once, and what belongs to it is erased in the background."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.accounts.actions import close_workspace
from apps.accounts.queries import lock_workspace, read_workspace
from apps.jobs.actions import cancel_all
from apps.jobs.queries import count_open_jobs
from apps.lib.enqueue import enqueue
from apps.ops.queries.workspace_contents import count_contents

_WHY_CANCELLED = "The workspace is being deleted."


class DeletionRefusedError(Exception):
    """The workspace stays; the message says why and what to do."""


def delete_workspace(*, workspace_id: UUID, name: str, cancels_jobs: bool, now: datetime, reason: str = "") -> None:
    """Delete the workspace whose `name` somebody wrote to confirm it.

    DeletionRefusedError when it has another name, is being deleted already, or has open jobs and `cancels_jobs` is not said.
    """
    contents = count_contents(workspace_id)
    with transaction.atomic():
        lock_workspace(workspace_id)
        workspace = read_workspace(workspace_id)
        if workspace.deleting_at is not None:
            raise DeletionRefusedError("This workspace is being deleted already.")
        if name.strip() != workspace.name:
            msg = f"Nothing was deleted: write the workspace's name, {workspace.name}, exactly as it stands."
            raise DeletionRefusedError(msg)
        if (number := count_open_jobs(workspace_id)) and not cancels_jobs:
            which = "1 job has" if number == 1 else f"{number} jobs have"
            msg = f"Nothing was deleted: {which} not ended. Wait for them, or say that they are to be cancelled."
            raise DeletionRefusedError(msg)
        cancel_all(workspace_id=workspace_id, now=now, reason=_WHY_CANCELLED)
        close_workspace(workspace_id=workspace_id, contents=contents, now=now, reason=reason)
        enqueue("ops.erase_workspaces", queue="control")
