"""`manage.py rotate_provider_key`: a provider's key is replaced while the platform runs."""

import os
import sys
from argparse import ArgumentParser
from getpass import getpass
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.accounts.actions import acting
from apps.providers.actions import KeyInvalidError, ProviderUnknownError, rotate_provider_key


def _typed() -> str:
    """A line of standard input; at a terminal it isn't shown."""
    return getpass("New key: ") if sys.stdin.isatty() else sys.stdin.readline()


class Command(BaseCommand):
    """The key is never an argument: those are in the process list and the shell's history."""

    help = "Replace a provider's key. It is read from standard input, or from the variable that --from-env names."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="The provider's name.")
        parser.add_argument("--from-env", metavar="VAR", help="The environment variable that holds the new key.")

    def handle(self, *_: Any, name: str, from_env: str | None, **__: Any) -> None:
        if from_env and not os.environ.get(from_env):
            raise CommandError(f"--from-env names {from_env}, which is not set.")
        api_key = os.environ[from_env] if from_env else _typed()
        try:
            with acting("rotate_provider_key"):
                rotate_provider_key(name=name, api_key=api_key)
        except (KeyInvalidError, ProviderUnknownError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"The key of {name} is replaced. Workers use it within {settings.PROVIDERS_RELOAD_SECONDS:g} s;"
            " end the old one when the calls that are in the air have ended."
        )
