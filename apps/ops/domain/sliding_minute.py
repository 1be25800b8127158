"""Limits per minute as providers keep them: over the last sixty seconds, whenever these began."""

from collections import deque
from typing import NamedTuple

MINUTE_SECONDS = 60.0


class Used(NamedTuple):
    """Of one request, or of a minute's."""

    requests: int
    tokens: int
    input_tokens: int
    output_tokens: int


class Most(NamedTuple):
    """Limits a minute; None is no limit."""

    requests: int | None = None
    tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


class SlidingMinute:
    """What was taken in the last minute."""

    def __init__(self) -> None:
        self.taken: deque[tuple[float, int, int]] = deque()
        self.input_tokens = 0
        self.output_tokens = 0

    def take(self, *, now: float, input_tokens: int, output_tokens: int, most: Most) -> float:
        """Take one request of so many tokens: 0.0 when there was room, else the seconds until there is, and nothing is taken."""
        used, wanted = self.used(now), Used(1, input_tokens + output_tokens, input_tokens, output_tokens)
        wait = 0.0
        for n, limit in enumerate(most):
            if limit is not None and used[n] + wanted[n] > limit:
                wait = max(wait, self._until_free(now, n, used[n] + wanted[n] - limit))
        if not wait:
            self.taken.append((now, input_tokens, output_tokens))
            self.input_tokens += input_tokens
            self.output_tokens += output_tokens
        return wait

    def used(self, now: float) -> Used:
        """What the last minute holds."""
        self._forget(now)
        return Used(len(self.taken), self.input_tokens + self.output_tokens, self.input_tokens, self.output_tokens)

    def _forget(self, now: float) -> None:
        while self.taken and self.taken[0][0] <= now - MINUTE_SECONDS:
            _, input_tokens, output_tokens = self.taken.popleft()
            self.input_tokens -= input_tokens
            self.output_tokens -= output_tokens

    def _until_free(self, now: float, n: int, much: int) -> float:
        """When so much of the n-th count has left the minute; a whole minute for what never fits."""
        for at, input_tokens, output_tokens in self.taken:
            much -= (1, input_tokens + output_tokens, input_tokens, output_tokens)[n]
            if much <= 0:
                return max(at + MINUTE_SECONDS - now, 0.001)
        return MINUTE_SECONDS
