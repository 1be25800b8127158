"""`manage.py apply FILE.toml`: declare providers, models, targets, prices, budgets and recipes."""

import os
import tomllib
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.accounts.actions import acting
from apps.ops.actions.apply_config import apply_config
from apps.ops.domain.config_file import ConfigInvalidError, read_config


class Command(BaseCommand):
    """Idempotent; what the file leaves out stays as it is."""

    help = (
        "Declare providers, models with their targets, prices, budgets and recipes. Shows what it changed; applying again changes nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="Show what would change, and change nothing.")

    def handle(self, *_: Any, file: Path, dry_run: bool, **__: Any) -> None:
        try:
            config = read_config(tomllib.loads(file.read_text("utf-8-sig")), environment=os.environ)
            with acting("manage.py apply"):
                changes = apply_config(config=config, is_dry_run=dry_run, clock=timezone.now)
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{file} can't be read: {error}") from error
        except tomllib.TOMLDecodeError as error:
            raise CommandError(f"{file} is not TOML: {error}") from error
        except ConfigInvalidError as error:
            raise CommandError(f"{file}: {error} Nothing was changed.") from error
        for line in changes:
            self.stdout.write(line)
        told = f"{len(changes)} change{'' if len(changes) == 1 else 's'}" if changes else "Nothing to change"
        self.stdout.write(f"{told}{'; nothing was changed: this was a dry run' if dry_run and changes else ''}.")
