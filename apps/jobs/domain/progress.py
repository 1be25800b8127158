"""How far a job is, and when it may be over."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Progress:
    """Counts of a job's items; percentages are whole numbers that never exceed 100 together."""

    total: int
    done: int
    dead: int
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def ended(self) -> int:
        return self.done + self.dead

    @property
    def waiting(self) -> int:
        return max(0, self.total - self.ended)

    @property
    def done_percent(self) -> int:
        return self.done * 100 // self.total if self.total else 0

    @property
    def dead_percent(self) -> int:
        return self.dead * 100 // self.total if self.total else 0

    def items_per_second(self, now: datetime) -> float:
        """The mean rate since the start."""
        seconds = ((self.ended_at or now) - self.started_at).total_seconds() if self.started_at else 0.0
        return self.ended / seconds if seconds > 0 else 0.0

    def remaining(self, now: datetime) -> timedelta | None:
        """How long it may still take at the mean rate; None when that can't be said or nothing is left."""
        rate = self.items_per_second(now)
        return timedelta(seconds=round(self.waiting / rate)) if rate and self.waiting and not self.ended_at else None
