"""When a part that died is started again."""

from dataclasses import dataclass, replace

_FIRST_DELAY_SECONDS = 0.5
_LONGEST_DELAY_SECONDS = 30.0
_STEADY_SECONDS = 60.0
_TRIES_WHILE_STARTING = 3


@dataclass(frozen=True, slots=True)
class Restarts:
    """How often a part died in a row. Times are seconds of one steady clock."""

    deaths: int = 0
    started_at: float = 0.0
    start_again_at: float | None = None
    has_been_healthy: bool = False

    def after_start(self, now: float) -> "Restarts":
        return replace(self, started_at=now, start_again_at=None)

    def after_death(self, now: float) -> "Restarts":
        """Waits twice as long each time, up to 30 s; a part that ran for a minute starts from the beginning."""
        deaths = 1 if now - self.started_at >= _STEADY_SECONDS else self.deaths + 1
        delay = min(_LONGEST_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2 ** (deaths - 1))
        return replace(self, deaths=deaths, start_again_at=now + delay)

    def is_hopeless(self) -> bool:
        """True for a part that never became healthy and keeps dying: something is wrong that waiting won't mend."""
        return not self.has_been_healthy and self.deaths >= _TRIES_WHILE_STARTING
