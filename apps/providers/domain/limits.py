"""What bounds a bucket, and what a call will probably use of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

_BYTES_A_TOKEN = 3.2
_MAX_TOKENS = re.compile(rb'"max_(?:completion_|output_)?tokens"\s*:\s*(\d{1,9})')
_TOLD_REQUESTS = ("x-ratelimit-limit-requests", "anthropic-ratelimit-requests-limit")
_TOLD_TOKENS = ("x-ratelimit-limit-tokens", "anthropic-ratelimit-tokens-limit")


@dataclass(frozen=True, slots=True)
class BucketLimits:
    """Of a provider or a target; None: no limit. `version` changes with the row, which ends a pause."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_concurrency: int | None = None
    version: str = ""

    @property
    def is_unlimited(self) -> bool:
        return not (self.requests_per_minute or self.tokens_per_minute or self.max_concurrency)


NO_LIMITS = BucketLimits()


def estimate_tokens(body: bytes, *, max_output_tokens: int, usual_output_tokens: float | None) -> int:
    """Input by size; output as the caller bounds it, but no more than a third above what has been usual."""
    found = _MAX_TOKENS.search(body)
    output = int(found[1]) if found else max_output_tokens
    if usual_output_tokens is not None:
        output = min(output, int(usual_output_tokens * 1.3) + 1)
    return int(len(body) / _BYTES_A_TOKEN) + output


def told_limits(headers: Mapping[str, str]) -> tuple[int, int]:
    """Requests and tokens a minute that a provider says it grants; 0 for what it doesn't say, or says without sense."""
    return _first(headers, _TOLD_REQUESTS), _first(headers, _TOLD_TOKENS)


def _first(headers: Mapping[str, str], names: tuple[str, ...]) -> int:
    for name in names:
        try:
            value = float(headers.get(name, ""))
        except ValueError:
            continue
        if isfinite(value) and value >= 1:
            return int(value)
    return 0
