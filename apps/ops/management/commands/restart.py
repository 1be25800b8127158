"""manage.py restart: replace the parts of the running stack one after another, while it works."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.ops.actions.stack import restart_parts
from apps.ops.domain.stack import StackError
from apps.ops.management.progress import Progress


class Command(BaseCommand):
    """Nothing that was accepted is lost or done twice: each part ends what it has in hand before it goes."""

    help = "Migrate, then replace the workers, beat, Flower and web of the running stack one after another."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("parts", nargs="*", metavar="PART", help="Only these, as in: exec web. Else all but the stores and the model.")

    def handle(self, *, parts: list[str], **_: Any) -> None:
        try:
            replaced = restart_parts(home=Path(settings.AIPLATFORM_HOME), parts=parts, report=Progress().report)
        except StackError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Replaced {', '.join(replaced)}.")
