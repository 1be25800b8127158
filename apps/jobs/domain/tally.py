"""What a pump has done so far, for Flower and the log."""

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

_BIGGEST = 5


@dataclass(slots=True)
class JobTally:
    """The sums of one job within one pump."""

    items: int = 0
    done: int = 0
    failed: int = 0
    cost_usd: Decimal = Decimal(0)

    def report(self) -> dict[str, Any]:
        return {"items": self.items, "done": self.done, "failed": self.failed, "cost_usd": str(self.cost_usd)}


@dataclass(slots=True)
class Tally:
    """The sums of a pump, by job."""

    jobs: dict[UUID, JobTally] = field(default_factory=lambda: defaultdict(JobTally))
    total: JobTally = field(default_factory=JobTally)

    @property
    def done(self) -> int:
        return self.total.done

    @property
    def dead(self) -> int:
        return self.total.failed

    def add(self, job_id: UUID, *, is_done: bool, is_dead: bool, cost_usd: Decimal) -> None:
        for sums in (self.jobs[job_id], self.total):
            sums.items += 1
            sums.done += is_done
            sums.failed += is_dead
            sums.cost_usd += cost_usd

    def report(self) -> dict[str, Any]:
        """The totals and the five biggest jobs; `items` counts runs, so a retried item counts again."""
        biggest = sorted(self.jobs.items(), key=lambda entry: -entry[1].items)[:_BIGGEST]
        return {**self.total.report(), "jobs": {str(job_id): sums.report() for job_id, sums in biggest}}
