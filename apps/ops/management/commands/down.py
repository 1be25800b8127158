"""manage.py down: stop the stack of AIPLATFORM_HOME."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.ops.actions.stack import stop_stack
from apps.ops.domain.stack import StackError


class Command(BaseCommand):
    """Stops everything that the stack started, and nothing else."""

    help = "Stop the stack that runs in AIPLATFORM_HOME."
    requires_system_checks = ()

    def handle(self, **_: Any) -> None:
        home = Path(settings.AIPLATFORM_HOME)
        try:
            had_run = stop_stack(home)
        except StackError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"The stack in {home} has stopped." if had_run else f"No stack runs in {home}.")
