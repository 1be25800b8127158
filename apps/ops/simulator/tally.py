"""What the simulator has seen: the witness for "called twice", and for how well its slots were used."""

import hashlib
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any, NamedTuple

# Beyond this many different prompts, further ones are counted in the total alone: the witness must not eat the machine.
_MOST_KEYS = 1_000_000
_MOST_API_KEYS = 1000
_MOST_MODELS = 1000
_KEPT_MINUTES = 60
_CLASSES = {200: "answered", 429: "throttled", 0: "hung_up"}


class Delivered(NamedTuple):
    """What a whole, readable answer used, whatever it said of that itself."""

    model: str
    input_tokens: int
    output_tokens: int


class Tally:
    """Counts calls by prompt (the hash of a whole request) and by request id, and adds up how long how many were in the air."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Begin anew; what is in the air stays there."""
        self.total = 0
        self.by_prompt: Counter[bytes] = Counter()
        self.by_request_id: Counter[bytes] = Counter()
        self.answered: Counter[bytes] = Counter()
        self.since = datetime.now(UTC)
        self.deliveries_of: dict[bytes, list[tuple[str, Delivered]]] = {}
        self.delivered: dict[tuple[str, str], list[int]] = {}
        self.by_status: Counter[int] = Counter()
        self.most_in_flight = self.in_flight
        self.began_at = self.changed_at = time.monotonic()
        self.in_flight_seconds = 0.0
        self.by_key: dict[str, Counter[int]] = {}
        self.minutes: dict[int, Counter[str]] = {}

    def begin(self, prompt: bytes, request_id: bytes) -> int:
        """Count a call; returns how often this prompt has come, this time included (0 when it is one too many to remember)."""
        self._advance()
        self.total += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        if request_id:
            _count(self.by_request_id, request_id)
        return _count(self.by_prompt, prompt)

    def end(self, status: int, *, key: str = "", tokens: int = 0, request_id: bytes = b"", delivered: Delivered | None = None) -> None:
        """A call was answered; status 0 when its caller hung up first. A good answer is remembered by the id of its request."""
        if delivered is not None:
            self._deliver(delivered, request_id)
        if status == 200 and request_id:
            _count(self.answered, request_id)
        self._advance()
        self.in_flight -= 1
        self.by_status[status] += 1
        if key in self.by_key or len(self.by_key) < _MOST_API_KEYS:
            self.by_key.setdefault(key, Counter())[status] += 1
        minute = self._minute()
        minute[_CLASSES.get(status, "failed")] += 1
        minute["tokens"] += tokens

    def _deliver(self, used: Delivered, request_id: bytes) -> None:
        day = datetime.now(UTC).date().isoformat()
        if (day, used.model) in self.delivered or len(self.delivered) < _MOST_MODELS:
            sums = self.delivered.setdefault((day, used.model), [0, 0, 0])
            for place, number in enumerate((1, used.input_tokens, used.output_tokens)):
                sums[place] += number
        if request_id and ((key := hash_of(request_id)) in self.deliveries_of or len(self.deliveries_of) < _MOST_KEYS):
            self.deliveries_of.setdefault(key, []).append((day, used))

    def _minute(self) -> Counter[str]:
        """The counts of the minute that runs; only the last hour's are kept."""
        number = int((self.changed_at - self.began_at) // 60)
        if number not in self.minutes:
            self.minutes = {old: counts for old, counts in self.minutes.items() if old > number - _KEPT_MINUTES}
            self.minutes[number] = Counter()
        return self.minutes[number]

    def _advance(self) -> None:
        now = time.monotonic()
        self.in_flight_seconds += self.in_flight * (now - self.changed_at)
        self.changed_at = now

    def calls(self, *, top: int) -> dict[str, Any]:
        """The counts, and the `top` prompts that came most often, by hash."""
        return {
            "total": self.total,
            "distinct": len(self.by_prompt),
            "repeated": sum(number > 1 for number in self.by_prompt.values()),
            "most_for_one": max(self.by_prompt.values(), default=0),
            "by_prompt": {key.hex(): number for key, number in self.by_prompt.most_common(top)},
            "request_ids": len(self.by_request_id),
            "repeated_request_ids": sum(number > 1 for number in self.by_request_id.values()),
        }

    def answers(self) -> dict[str, int]:
        """How often a request of each id was answered well; the ids as hashes."""
        return {key.hex(): number for key, number in self.answered.items()}

    def usage(self) -> dict[str, Any]:
        """What was delivered, by day (UTC) and model: as a provider's usage export tells it."""
        names = ("requests", "input_tokens", "output_tokens")
        rows = sorted(self.delivered.items())
        return {"data": [{"day": day, "model": model, **dict(zip(names, sums, strict=True))} for (day, model), sums in rows]}

    def usage_by_request(self) -> dict[str, list[int]]:
        """[answers, input tokens, output tokens] delivered to the requests of each id; the ids as hashes."""
        return {
            key.hex(): [len(calls), sum(used.input_tokens for _, used in calls), sum(used.output_tokens for _, used in calls)]
            for key, calls in self.deliveries_of.items()
        }

    def usage_by_call(self) -> dict[str, Any]:
        """Every call: [day, model, input tokens, output tokens], by the hash of its request id; without an id, sums of a day and model."""
        others = {key: list(sums) for key, sums in self.delivered.items()}
        for calls in self.deliveries_of.values():
            for day, used in calls:
                if rest := others.get((day, used.model)):
                    for place, number in enumerate((1, used.input_tokens, used.output_tokens)):
                        rest[place] -= number
        return {
            "since": self.since.isoformat(),
            "calls": {
                key.hex(): [[day, used.model, used.input_tokens, used.output_tokens] for day, used in calls]
                for key, calls in self.deliveries_of.items()
            },
            "others": [[*key, *rest] for key, rest in sorted(others.items()) if rest[0]],
        }

    def stats(self) -> dict[str, Any]:
        """How many are in the air, and the sum of all calls' seconds there: divided by elapsed seconds x slots it is the slots' use."""
        self._advance()
        return {
            "in_flight": self.in_flight,
            "most_in_flight": self.most_in_flight,
            "in_flight_seconds": self.in_flight_seconds,
            "elapsed_seconds": time.monotonic() - self.began_at,
            "by_status": {str(status): number for status, number in self.by_status.items()},
            "by_key": {key: {str(status): number for status, number in counts.items()} for key, counts in self.by_key.items()},
            "minutes": [{"minute": number, **counts} for number, counts in sorted(self.minutes.items())],
        }


def hash_of(content: bytes) -> bytes:
    """Under which a prompt or a request id is remembered: its text would take too much room."""
    return hashlib.blake2b(content, digest_size=8).digest()


def _count(counts: Counter[bytes], content: bytes) -> int:
    key = hash_of(content)
    if key not in counts and len(counts) >= _MOST_KEYS:
        return 0
    counts[key] += 1
    return counts[key]
