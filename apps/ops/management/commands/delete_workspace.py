"""`manage.py delete_workspace NAME`: show what would go, and delete it once its name was written again."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.accounts.actions import acting
from apps.accounts.queries import find_workspace
from apps.ops.actions.delete_workspace import DeletionRefusedError, delete_workspace
from apps.ops.queries.workspace_contents import count_contents


class Command(BaseCommand):
    """Without --confirm it changes nothing."""

    help = "Delete a workspace with all that belongs to it. Without --confirm it shows what would go, and changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="The workspace's name.")
        parser.add_argument("--confirm", metavar="NAME", help="Its name once more: delete it.")
        parser.add_argument("--cancel-jobs", action="store_true", help="Cancel its open jobs; else it is refused while there are some.")
        parser.add_argument("--reason", default="", help="For the audit log.")

    def handle(self, *, name: str, confirm: str | None, cancel_jobs: bool, reason: str, **_: Any) -> None:
        workspace = find_workspace(name=name)
        if workspace is None:
            raise CommandError(f"There is no workspace {name!r}.")
        if confirm is None:
            for kind, number in count_contents(workspace.id).items():
                self.stdout.write(f"{kind:<10} {'very many' if number is None else f'{number:,}'}")
            self.stdout.write(f"Nothing was deleted. To delete all of it for good (charges stay, without names): --confirm {name!r}")
            return
        try:
            with acting("manage.py delete_workspace"):
                delete_workspace(workspace_id=workspace.id, name=confirm, cancels_jobs=cancel_jobs, now=timezone.now(), reason=reason)
        except DeletionRefusedError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Workspace {name!r} is closed; what belongs to it is erased in the background.")
