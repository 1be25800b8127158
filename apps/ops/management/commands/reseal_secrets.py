"""`manage.py reseal_secrets`: seal every secret in the database with the newest key, so that an older one can be taken away."""

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.accounts.actions import acting
from apps.lib.sealed_columns import SealedColumn
from apps.ops.actions.reseal_secrets import reseal_secrets
from apps.ops.queries.seals import count_seals

_SHOWN = 20


class Command(BaseCommand):
    """May run while the platform works, be broken off, and be called again."""

    help = "Seal every secret in the database with the first key of AIPLATFORM_ENCRYPTION_KEYS. Exit code 1 while one is left behind."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Say which keys seal how many secrets, and change nothing.")

    def handle(self, *_: Any, dry_run: bool, **__: Any) -> None:
        if not settings.ENCRYPTION_KEYS:
            raise CommandError("AIPLATFORM_ENCRYPTION_KEYS is not set: there is no key to seal with.")
        newest = next(iter(settings.ENCRYPTION_KEYS))
        if dry_run:
            self._foretell(newest)
            return
        with acting("manage.py reseal_secrets"):
            done = reseal_secrets(report=self._tell)
        for place, reason in list(done.unreadable.items())[:_SHOWN]:
            self.stderr.write(f"{place}: {reason}")
        here = f"{done.sealed:,} sealed anew with {newest!r}, which seals {done.by_key.get(newest, 0):,} secrets now"
        left = {key_id: number for key_id, number in done.by_key.items() if key_id != newest}
        if left:
            raise CommandError(f"{here}. Left behind: {_listed(left)}. {self._what_to_do(len(done.unreadable), left)}")
        others = [key_id for key_id in settings.ENCRYPTION_KEYS if key_id != newest]
        free = f"{', '.join(map(repr, others))} can be taken out of AIPLATFORM_ENCRYPTION_KEYS" if others else "it is the only key"
        self.stdout.write(f"{here}; no other key seals any: {free}.")

    def _foretell(self, newest: str) -> None:
        total = 0
        for column, counts in count_seals().items():
            for key_id, number in sorted(counts.items()):
                note = "" if key_id in settings.ENCRYPTION_KEYS else "  not in AIPLATFORM_ENCRYPTION_KEYS: can't be opened"
                self.stdout.write(f"{column!s:<45} {key_id:<12} {number:>10,}{note}")
                total += number * (key_id != newest)
        self.stdout.write(f"{total:,} would be sealed anew with {newest!r}. Nothing was changed.")

    def _tell(self, column: SealedColumn, done: int) -> None:
        self.stderr.write(f"{column}: {done:,} sealed anew")

    def _what_to_do(self, unreadable: int, left: Mapping[str, int]) -> str:
        if missing := [key_id for key_id in left if key_id not in settings.ENCRYPTION_KEYS]:
            return f"Put {', '.join(map(repr, missing))} back into AIPLATFORM_ENCRYPTION_KEYS, or enter those secrets anew."
        if unreadable:
            return "Enter anew what doesn't open (see above); keep the older keys."
        return "Somebody was writing them: call this again, once every process has the new key in front. Keep the older keys until then."


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} with {key_id!r}" for key_id, number in sorted(counts.items()))
