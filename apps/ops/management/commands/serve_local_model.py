"""manage.py serve_local_model: the small local model, as the stack runs it."""

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.ops.actions.stack.serve_model import serve_model
from apps.ops.domain.stack import StackError


class Command(BaseCommand):
    """Its key comes from the environment, where other users of the machine can't read it."""

    help = "Serve the small local model over HTTP on loopback. AIPLATFORM_LOCAL_MODEL_KEY sets a key."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, required=True)

    def handle(self, **options: Any) -> None:
        try:
            serve_model(port=options["port"], key=os.environ.get("AIPLATFORM_LOCAL_MODEL_KEY", ""))
        except StackError as error:
            raise CommandError(str(error)) from error
