"""Limits per minute as providers keep them: over the last sixty seconds, whenever these began."""

from collections import deque

MINUTE_SECONDS = 60.0


class SlidingMinute:
    """What was taken in the last minute; None as a limit is no limit."""

    def __init__(self) -> None:
        self.taken: deque[tuple[float, int]] = deque()
        self.tokens = 0

    def take(self, *, now: float, tokens: int, requests_per_minute: int | None, tokens_per_minute: int | None) -> float:
        """Take one request of so many tokens: 0.0 when there was room, else the seconds until there is, and nothing is taken."""
        self._forget(now)
        wait = 0.0
        if requests_per_minute is not None and len(self.taken) >= requests_per_minute:
            wait = self._until_free(now, requests=len(self.taken) - requests_per_minute + 1, tokens=0)
        if tokens_per_minute is not None and self.tokens + tokens > tokens_per_minute:
            wait = max(wait, self._until_free(now, requests=0, tokens=self.tokens + tokens - tokens_per_minute))
        if not wait:
            self.taken.append((now, tokens))
            self.tokens += tokens
        return wait

    def used(self, now: float) -> tuple[int, int]:
        """(requests, tokens) of the last minute."""
        self._forget(now)
        return len(self.taken), self.tokens

    def _forget(self, now: float) -> None:
        while self.taken and self.taken[0][0] <= now - MINUTE_SECONDS:
            self.tokens -= self.taken.popleft()[1]

    def _until_free(self, now: float, *, requests: int, tokens: int) -> float:
        """When so much has left the minute; a whole minute for what never fits."""
        for at, size in self.taken:
            requests, tokens = requests - 1, tokens - size
            if requests <= 0 and tokens <= 0:
                return max(at + MINUTE_SECONDS - now, 0.001)
        return MINUTE_SECONDS
