"""`manage.py reconcile`: a provider's usage beside what we charged and what was lost on the way, by day and model."""

import urllib.request
from argparse import ArgumentParser
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.management.base import BaseCommand, CommandError

from apps.providers.actions import ProviderUnknownError, reconcile_usage, reconcile_witness
from apps.spend.domain.reconciling import MEASURES
from apps.spend.domain.usage_export import COLUMNS, ExportInvalidError

_EXAMPLES = 10


class Command(BaseCommand):
    """Exit code 1 when something differs that no waste explains."""

    help = f"Compare a provider's usage export (CSV or JSON: {', '.join(COLUMNS)}) with our charges; lists and keeps every day and model."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("provider", help="The provider's name.")
        known = parser.add_mutually_exclusive_group(required=True)
        known.add_argument(
            "file", nargs="?", type=Path, help="Days are in UTC; columns that it lacks are not compared, day and model it must have."
        )
        known.add_argument(
            "--simulator",
            metavar="URL",
            help="Where the simulated provider is: each call that it has delivered is held against the charges.",
        )

    def handle(self, *_: Any, provider: str, file: Path | None, simulator: str | None, **__: Any) -> None:
        try:
            content = _ask(simulator) if simulator else Path(str(file)).read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError, ValueError) as error:
            raise CommandError(f"{simulator or file} can't be read: {error}") from error
        act = reconcile_witness if simulator else reconcile_usage
        try:
            found = act(provider=provider, content=content, source=simulator or Path(str(file)).name)
        except (ProviderUnknownError, ExportInvalidError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write("\n".join(line for row in found.rows for line in _table(row)))
        for line in (*found.lost, *found.unexplained[:_EXAMPLES]):
            self.stdout.write(line)
        wrong = sum(not row.is_equal for row in found.rows)
        if wrong or found.unexplained:
            raise CommandError(f"{wrong} of {len(found.rows)} days and models differ.")
        lost = sum(row.wasted_requests or 0 for row in found.rows)
        told = f" and {lost} that were lost on the way" if lost else ""
        self.stdout.write(
            f"{len(found.rows)} days and models, all equal: {sum(row.our_requests for row in found.rows)} calls charged{told}."
        )


def _table(row: Any) -> Iterator[str]:
    """Equal ones without waste are one line."""
    name = f"{row.day} {row.upstream_model}"
    if row.is_equal and not row.wasted_requests:
        yield f"{name}: equal, {row.our_requests} calls"
        return
    yield f"{name}: {'equal' if row.is_equal else 'differs'}"
    yield f"  {'':20} {'provider':>16} {'charged':>16} {'lost':>16} {'difference':>16}"
    for measure in MEASURES:
        theirs, ours, wasted = (getattr(row, f"{side}_{measure}") for side in ("their", "our", "wasted"))
        if theirs is not None:
            yield f"  {measure:20} " + " ".join(f"{_told(number):>16}" for number in (theirs, ours, wasted, theirs - ours - wasted))


def _told(number: int | Decimal) -> str:
    return f"{number.normalize():f}" if isinstance(number, Decimal) else f"{number:,}"


def _ask(simulator: str) -> str:
    """The count of `/sim/usage`, whether or not the address has the version behind it."""
    root = urlsplit(simulator)
    if root.scheme not in {"http", "https"} or not root.netloc:
        raise ValueError("give its address, as in http://127.0.0.1:9001")
    with urllib.request.urlopen(f"{root.scheme}://{root.netloc}/sim/usage?by=call", timeout=60) as answer:  # noqa: S310 -- the scheme is judged above
        return str(answer.read().decode())
