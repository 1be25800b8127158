"""What bounds a bucket, what a call will probably use of it, and what a provider says about it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import NamedTuple

from apps.spend.domain.usage import TokenUsage

BYTES_A_TOKEN = 3.2
_MAX_TOKENS = re.compile(rb'"max_(?:completion_|output_)?tokens"\s*:\s*(\d{1,9})')
_WORDS = ("limit", "remaining", "reset")
_REQUESTS = (
    tuple(f"x-ratelimit-{word}-requests" for word in _WORDS),
    tuple(f"anthropic-ratelimit-requests-{word}" for word in _WORDS),
)
_TOKENS = (tuple(f"x-ratelimit-{word}-tokens" for word in _WORDS), tuple(f"anthropic-ratelimit-tokens-{word}" for word in _WORDS))
_INPUT, _OUTPUT = (tuple(f"anthropic-ratelimit-{part}-tokens-{word}" for word in _WORDS) for part in ("input", "output"))
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Size(NamedTuple):
    """Tokens of a call, or of many: what goes in and what comes out."""

    input: float
    output: float


NO_TOKENS = Size(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class BucketLimits:
    """Of a provider or a target; None: no limit. Tokens may be bounded together, input and output apart, or both.

    `version` changes with the row, which ends a pause.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_concurrency: int | None = None
    version: str = ""
    input_tokens_per_minute: int | None = None
    output_tokens_per_minute: int | None = None

    @property
    def is_unlimited(self) -> bool:
        # Asked for each call: without a detour over the others.
        return not (
            self.requests_per_minute
            or self.tokens_per_minute
            or self.max_concurrency
            or self.input_tokens_per_minute
            or self.output_tokens_per_minute
        )

    @property
    def has_rates(self) -> bool:
        return bool(self.requests_per_minute or self.has_tokens)

    @property
    def has_tokens(self) -> bool:
        return bool(self.tokens_per_minute or self.input_tokens_per_minute or self.output_tokens_per_minute)


NO_LIMITS = BucketLimits()


@dataclass(frozen=True, slots=True)
class Told:
    """What a provider says of its limits: 0 and -1 where it says nothing, or nothing sensible. `hold_seconds`: something is used up."""

    requests: int = 0
    tokens: int = 0
    requests_left: int = -1
    tokens_left: int = -1
    hold_seconds: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    input_tokens_left: int = -1
    output_tokens_left: int = -1

    def without_levels(self) -> "Told":
        """The limits alone."""
        return Told(self.requests, self.tokens, input_tokens=self.input_tokens, output_tokens=self.output_tokens)


NOTHING_TOLD = Told()


def estimate_tokens(
    body: bytes, *, max_output_tokens: int, usual_output_tokens: float | None = None, bytes_a_token: float = BYTES_A_TOKEN
) -> Size:
    """Input by size; output as the caller bounds it, but no more than a third above what has been usual."""
    found = _MAX_TOKENS.search(body)
    output = int(found[1]) if found else max_output_tokens
    if usual_output_tokens is not None:
        output = min(output, int(usual_output_tokens * 1.3) + 1)
    return Size(int(len(body) / bytes_a_token), output)


def count_tokens(usage: TokenUsage, *, is_cached_free: bool) -> Size:
    """As the provider's limits count them; `is_cached_free`: what it reads from its cache is left out."""
    cached = usage.cached_input_tokens if is_cached_free else 0
    return Size(usage.total_input_tokens - cached, usage.total_output_tokens)


def read_told(headers: Mapping[str, str], *, now: datetime) -> Told:
    """The limits a minute and what is left of them; what is used up is held until its reset."""
    if not headers:
        return NOTHING_TOLD
    requests, requests_left, hold = _first(headers, _REQUESTS, now)
    tokens, tokens_left, tokens_hold = _first(headers, _TOKENS, now)
    hold = max(hold, tokens_hold)
    if _INPUT[0] not in headers and _OUTPUT[0] not in headers:
        return Told(requests, tokens, requests_left, tokens_left, hold)
    input_tokens, input_left, input_hold = _read(headers, _INPUT, now)
    output_tokens, output_left, output_hold = _read(headers, _OUTPUT, now)
    hold = max(hold, input_hold, output_hold)
    return Told(requests, tokens, requests_left, tokens_left, hold, input_tokens, output_tokens, input_left, output_left)


def _first(headers: Mapping[str, str], families: tuple[tuple[str, ...], ...], now: datetime) -> tuple[int, int, float]:
    for names in families:
        found = _read(headers, names, now)
        if found[0]:
            return found
    return 0, -1, 0.0


def _read(headers: Mapping[str, str], names: tuple[str, ...], now: datetime) -> tuple[int, int, float]:
    """(limit, left, seconds to hold). Without a sensible limit the rest means nothing: some send 0 and -1 for all."""
    limit = _number(headers.get(names[0]))
    if limit < 1:
        return 0, -1, 0.0
    left = _number(headers.get(names[1]))
    if not 0 <= left <= limit:
        return int(limit), -1, 0.0
    return int(limit), int(left), read_reset(headers.get(names[2], ""), now=now) if left < 1 else 0.0


def _number(text: str | None) -> float:
    if not text:
        return -1.0
    try:
        value = float(text)
    except ValueError:
        return -1.0
    return value if isfinite(value) else -1.0


def read_reset(text: str, *, now: datetime) -> float:
    """Seconds until a reset, said as `1s`, `6m0s`, `120ms`, a number of seconds or a moment; 0.0 for what makes no sense."""
    seconds = _number(text)
    if seconds >= 0:
        return seconds
    if parts := _DURATION.findall(text):
        return sum(float(amount) * _UNITS[unit] for amount, unit in parts) if _DURATION.sub("", text).strip() == "" else 0.0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
