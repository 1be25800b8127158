"""How fast calls to one target can be made under its limits, and which of them decides."""

from collections.abc import Mapping
from dataclasses import dataclass

# The limiter keeps this much away from a limit.
_KEPT_AWAY = 0.98
# By how long an answer is, where no call was made lately: a second to begin, and so many tokens a second.
_FIRST_SECONDS, _TOKENS_A_SECOND = 1.0, 60.0
# The longest guess: where nobody knows how long answers are, they are hardly half as long as they may be.
_MOST_GUESSED_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class CallSize:
    """The usual tokens of one call."""

    input_tokens: float
    output_tokens: float

    @property
    def guessed_seconds(self) -> float:
        return min(_FIRST_SECONDS + self.output_tokens / _TOKENS_A_SECOND, _MOST_GUESSED_SECONDS)


@dataclass(frozen=True, slots=True)
class Pace:
    """Calls a second (None: no limit of the provider's bounds them), by which limit; how long one takes.

    `is_guessed`: no call was made lately, so its time goes by the length of the answer. `stopped`: why nothing is sent at present.
    """

    calls_per_second: float | None
    bound_by: str
    call_seconds: float
    is_guessed: bool
    stopped: str = ""


def find_pace(
    *,
    per_minute: Mapping[str, int | None],
    most_in_flight: int | None,
    size: CallSize,
    usual_seconds: float | None,
    stopped: str = "",
) -> Pace:
    """`per_minute`: the narrowest limits of requests, tokens, input_tokens and output_tokens."""
    seconds = size.guessed_seconds if usual_seconds is None else usual_seconds
    needs = {
        "requests": 1.0,
        "tokens": size.input_tokens + size.output_tokens,
        "input_tokens": size.input_tokens,
        "output_tokens": size.output_tokens,
    }
    rates = {f"{kind}_per_minute": limit * _KEPT_AWAY / 60 / needs[kind] for kind, limit in per_minute.items() if limit and needs[kind]}
    if most_in_flight:
        rates["max_concurrency"] = most_in_flight / max(seconds, 0.001)
    bound_by = min(rates, key=lambda name: rates[name], default="")
    return Pace(rates.get(bound_by), bound_by, seconds, usual_seconds is None, stopped)
