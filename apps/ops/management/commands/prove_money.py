"""manage.py prove_money: are charges, jobs and the ledger of reservations equal?"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.ops.actions.prove_money import prove_money


class Command(BaseCommand):
    """Reads every charge; the same that a beat does each hour."""

    help = "Compare the sums of charges, jobs and the ledger of reservations, and keep what was found; exit code 1 when something differs."

    def handle(self, **_: Any) -> None:
        found = prove_money(now=timezone.now())
        for example in found["differences"]:
            self.stdout.write(example)
        if not found["is_whole"]:
            raise CommandError("The sums differ; the page Proof of the back office has them.")
        self.stdout.write(f"All equal: {found['charges']} charges of ${found['charged_usd']}.")
