"""Sums that must be equal, as they were at one moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Sums:
    """`bounded_usd`: the charges of runs that money was set aside for; the ledger must come to the same."""

    charges: int
    charged_usd: Decimal
    jobs_usd: Decimal
    bounded_usd: Decimal
    ledger_usd: Decimal
    wasted_usd: Decimal
    reserved_usd: Decimal
    running: int
    unpriced: int
    wrong_jobs: int
    wrong_counters: int
    examples: Sequence[str]

    @property
    def is_whole(self) -> bool:
        """All equal; and what is set aside is nothing while nothing runs."""
        is_equal = self.charged_usd == self.jobs_usd and self.bounded_usd == self.ledger_usd
        is_at_rest = self.running > 0 or self.reserved_usd == 0
        return is_equal and is_at_rest and not self.wrong_jobs and not self.wrong_counters
