"""`manage.py reprice`: what past calls would have cost; changes nothing."""

from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.providers.actions import reprice


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"{text!r} is no moment; write it as 2026-11-01 or 2026-11-01T12:00, in UTC.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Command(BaseCommand):
    """A dry run is all there is: charges are a ledger."""

    help = "Compute past charges anew, from the usage that providers reported, and list old sum, new sum and difference by model."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="As always: nothing is changed.")
        parser.add_argument("--since", help="The first moment (30 days ago).")
        parser.add_argument("--until", help="The moment after the last (now).")
        parser.add_argument("--prices-of", metavar="MOMENT", help="The prices of this moment for all calls; without it each call's own.")

    def handle(self, *_: Any, since: str | None, until: str | None, prices_of: str | None, **__: Any) -> None:
        now = timezone.now()
        rows = reprice(
            since=_moment(since) if since else now - timedelta(days=30),
            until=_moment(until) if until else now,
            prices_of=_moment(prices_of) if prices_of else None,
        )
        for row in rows:
            told = f", {row.unpriced} without a price" if row.unpriced else ""
            self.stdout.write(
                f"{row.upstream_model} at {row.provider}: {row.calls} calls{told}: " + _sums(row.charged_usd, row.would_be_usd)
            )
        charged, would_be = sum((row.charged_usd for row in rows), Decimal(0)), sum((row.would_be_usd for row in rows), Decimal(0))
        self.stdout.write(f"In all {sum(row.calls for row in rows)} calls: {_sums(charged, would_be)}. Nothing was changed.")


def _sums(charged: Decimal, would_be: Decimal) -> str:
    return f"charged ${charged.normalize():f}, would be ${would_be.normalize():f}, difference ${(would_be - charged).normalize():f}"
