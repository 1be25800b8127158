"""manage.py rebuild_spending: sums of the ledgers made anew."""

import time
from typing import Any

from django.core.management.base import BaseCommand

from apps.spend.actions import rebuild_rollups

_MOMENT = 0.5


class Command(BaseCommand):
    """Until it is done, answers about spend say that they are not complete."""

    help = "Make the sums that answers about spend are read from anew, after the ledgers were copied here or changed by hand."

    def handle(self, **_: Any) -> None:
        rows = rebuild_rollups(tell=lambda rows: self.stderr.write(f"{rows} rows"), wait=lambda: time.sleep(_MOMENT))
        self.stdout.write(f"Summed up anew: {rows} rows of the ledgers.")
