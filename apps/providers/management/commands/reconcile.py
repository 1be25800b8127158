"""`manage.py reconcile`: a provider's usage export beside what we charged, by day and model."""

import urllib.request
from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.management.base import BaseCommand, CommandError

from apps.providers.actions import ProviderUnknownError, reconcile_usage
from apps.spend.domain.usage_export import COLUMNS, ExportInvalidError
from apps.spend.queries.wasted import list_waste

_SHOWN = ("requests", "input_tokens", "cached_input_tokens", "output_tokens", "cost_usd")


class Command(BaseCommand):
    """Exit code 1 when something differs."""

    help = f"Compare a provider's usage export (CSV or JSON: {', '.join(COLUMNS)}) with our charges; lists and keeps every day and model."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("provider", help="The provider's name.")
        known = parser.add_mutually_exclusive_group(required=True)
        known.add_argument(
            "file", nargs="?", type=Path, help="Days are in UTC; columns that it lacks are not compared, day and model it must have."
        )
        known.add_argument("--simulator", metavar="URL", help="Where the simulated provider is: what it has delivered, by its own count.")

    def handle(self, *_: Any, provider: str, file: Path | None, simulator: str | None, **__: Any) -> None:
        source = simulator or str(file)
        try:
            content = _ask(simulator) if simulator else Path(source).read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError, ValueError) as error:
            raise CommandError(f"{source} can't be read: {error}") from error
        try:
            rows = reconcile_usage(provider=provider, content=content, source=source if simulator else Path(source).name)
        except (ProviderUnknownError, ExportInvalidError) as error:
            raise CommandError(str(error)) from error
        for row in rows:
            pairs = [(name, getattr(row, f"their_{name}"), getattr(row, f"our_{name}")) for name in _SHOWN]
            told = ", ".join(f"{name} theirs {theirs} ours {ours}" for name, theirs, ours in pairs if theirs is not None and theirs != ours)
            self.stdout.write(f"{row.day} {row.upstream_model}: {told or 'equal'}")
        for waste in list_waste(sorted({row.day for row in rows})):
            self.stdout.write(
                f"{waste.day} written off as waste ({waste.reason}): {waste.calls} calls, at most ${waste.most_usd.normalize():f};"
                " the provider may have answered them."
            )
        wrong = sum(not row.is_equal for row in rows)
        if wrong:
            raise CommandError(f"{wrong} of {len(rows)} days and models differ.")
        self.stdout.write(f"{len(rows)} days and models, all equal.")


def _ask(simulator: str) -> str:
    """The export of `/sim/usage`, whether or not the address has the version behind it."""
    root = urlsplit(simulator)
    if root.scheme not in {"http", "https"} or not root.netloc:
        raise ValueError("give its address, as in http://127.0.0.1:9001")
    with urllib.request.urlopen(f"{root.scheme}://{root.netloc}/sim/usage", timeout=30) as answer:  # noqa: S310 -- the scheme is judged above
        return str(answer.read().decode())
