"""manage.py check_invariants: is what the platform promises true of its rows?"""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.ops.management.invariants import invariant_table
from apps.ops.management.progress import wide_console
from apps.ops.queries.invariants import check_invariants


class Command(BaseCommand):
    """Look for lost, doubled and uncounted work; exit code 1 when a promise is broken."""

    help = "Look for lost, doubled and uncounted work in the jobs of the last days; exit code 1 when a promise is broken."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=float, default=1.0, help="how old the jobs may be that are looked at (1)")
        parser.add_argument("--at-rest", action="store_true", help="all work should have ended: also look for what is still open")

    def handle(self, *, days: float, at_rest: bool, **_: Any) -> None:
        findings = check_invariants(since=timezone.now() - timedelta(days=days), at_rest=at_rest)
        wide_console(stderr=False).print(invariant_table(findings))
        broken = [finding.name for finding in findings if finding.broken]
        if broken:
            raise CommandError(f"Broken: {', '.join(broken)}.")
