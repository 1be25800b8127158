"""When new work is refused: the least urgent first. What was accepted is never touched by it."""

from collections.abc import Mapping
from dataclasses import dataclass

from apps.jobs.domain.lifecycle import Lane

# How much further than for bulk it may go before a lane is refused, too.
_DEPTH = {Lane.BULK: 1.0, Lane.DEFAULT: 1.25, Lane.INTERACTIVE: 1.5}
_SPACE = {Lane.BULK: 1.0, Lane.DEFAULT: 0.5, Lane.INTERACTIVE: 0.25}
_MEMORY = {Lane.BULK: 0.90, Lane.DEFAULT: 0.95, Lane.INTERACTIVE: 0.98}
# Whose waiting tells that a lane can't take more: its own, and that of the more urgent lane that the same workers serve.
_TOLD_BY = {Lane.BULK: (Lane.BULK, Lane.DEFAULT), Lane.DEFAULT: (Lane.DEFAULT,), Lane.INTERACTIVE: (Lane.INTERACTIVE,)}
# OpenAI's packages wait as long as they are told, for a minute at most.
_RETRY_AFTER = {Lane.BULK: 60, Lane.DEFAULT: 30, Lane.INTERACTIVE: 5}


@dataclass(frozen=True, slots=True)
class Load:
    """What waits, by lane; free bytes of the file store and how full Redis is (0 to 1), None where that can't be told."""

    oldest_seconds: Mapping[str, float]
    waiting: int
    free_bytes: int | None
    memory_share: float | None


@dataclass(frozen=True, slots=True)
class Limits:
    """From the settings; 0 switches the depth off."""

    oldest_seconds: Mapping[str, float]
    waiting: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Shortage:
    """Why a lane takes nothing more at present."""

    reason: str
    retry_after_seconds: int


def find_shortage(lane: Lane, load: Load, limits: Limits) -> Shortage | None:
    """None: there is room."""
    for told_by in _TOLD_BY[lane]:
        seconds = load.oldest_seconds.get(told_by, 0.0)
        if seconds > limits.oldest_seconds[lane]:
            reason = f"the oldest item of the lane {told_by} has waited for {seconds:,.0f} s (limit {limits.oldest_seconds[lane]:,.0f} s)"
            return Shortage(reason, _RETRY_AFTER[lane])
    most = int(limits.waiting * _DEPTH[lane])
    if limits.waiting and load.waiting > most:
        return Shortage(f"{load.waiting:,} items wait (limit {most:,})", _RETRY_AFTER[lane])
    least = int(limits.free_bytes * _SPACE[lane])
    if load.free_bytes is not None and load.free_bytes < least:
        return Shortage(f"the file store has {load.free_bytes:,} bytes left (limit {least:,})", _RETRY_AFTER[lane])
    if load.memory_share is not None and load.memory_share > _MEMORY[lane]:
        reason = f"the message store has used {load.memory_share:.0%} of its memory (limit {_MEMORY[lane]:.0%})"
        return Shortage(reason, _RETRY_AFTER[lane])
    return None
