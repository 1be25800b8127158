"""What the simulator has seen: the witness for "called twice", and for how well its slots were used."""

import hashlib
import time
from collections import Counter
from typing import Any

_MOST_PROMPTS = 1_000_000


class Tally:
    """Counts calls by prompt (a hash of the body without its model), and adds up how long how many were in the air."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.total = 0
        self.by_prompt: Counter[bytes] = Counter()
        self.by_status: Counter[int] = Counter()
        self.in_flight = 0
        self.most_in_flight = 0
        self.began_at = self.changed_at = time.monotonic()
        self.in_flight_seconds = 0.0

    def begin(self, prompt: bytes) -> int:
        """Count a call; returns how often this prompt has come, this time included."""
        self._advance()
        self.total += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        key = hashlib.blake2b(prompt, digest_size=8).digest()
        if len(self.by_prompt) < _MOST_PROMPTS or key in self.by_prompt:
            self.by_prompt[key] += 1
        return self.by_prompt[key]

    def end(self, status: int) -> None:
        self._advance()
        self.in_flight -= 1
        self.by_status[status] += 1

    def _advance(self) -> None:
        now = time.monotonic()
        self.in_flight_seconds += self.in_flight * (now - self.changed_at)
        self.changed_at = now

    def calls(self) -> dict[str, Any]:
        return {
            "total": self.total,
            "distinct": len(self.by_prompt),
            "most_for_one": max(self.by_prompt.values(), default=0),
            "repeated": sum(number > 1 for number in self.by_prompt.values()),
        }

    def stats(self) -> dict[str, Any]:
        self._advance()
        return {
            "in_flight": self.in_flight,
            "most_in_flight": self.most_in_flight,
            "in_flight_seconds": self.in_flight_seconds,
            "elapsed_seconds": time.monotonic() - self.began_at,
            "by_status": {str(status): number for status, number in self.by_status.items()},
        }
