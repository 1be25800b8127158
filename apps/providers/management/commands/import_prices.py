"""`manage.py import_prices`: what the public price list says of our providers' models, and with --write new dated prices."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.accounts.actions import acting
from apps.providers.actions import compare_with_list, import_prices, read_matches
from apps.providers.domain.listed_prices import source
from apps.providers.domain.price_changes import told_change


class Command(BaseCommand):
    """Reads the list that the installed package brings along: no network."""

    help = "Compare our prices with the list of the package genai-prices; with --write add new dated prices. None is ever changed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--write", action="store_true", help="Add what is new or changed. Without it nothing is written.")
        parser.add_argument("--replace-own", action="store_true", help="With --write: also follow up prices that people set themselves.")
        parser.add_argument(
            "--match", action="append", default=[], metavar="PROVIDER=NAME", help="A provider of ours, and the list's name for it."
        )
        parser.add_argument("--reason", default="", help="Why; it stands in the audit log.")

    def handle(self, *_: Any, write: bool, replace_own: bool, match: list[str], reason: str, **__: Any) -> None:
        now = timezone.now()
        try:
            matches = read_matches(match)
        except ValueError as error:
            raise CommandError(str(error)) from error
        changes = compare_with_list(matches=matches, now=now)
        for change in changes:
            self.stdout.write(told_change(change))
        if not write:
            self.stdout.write(f"{source()}: nothing was written. --write adds what is new or changed.")
            return
        with acting("manage.py import_prices"):
            written = import_prices(chosen=None, matches=matches, now=now, is_replacing_own=replace_own, reason=reason)
        self.stdout.write(f"{source()}: {len(written)} price{'' if len(written) == 1 else 's'} added.")
