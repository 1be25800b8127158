"""Where requests are counted: by target and outcome, in slots of five minutes and of an hour, so that no page reads a day of rows."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

SINCE_KEY = "aiplatform:outcomes:since"
_KEY = "aiplatform:outcomes:{seconds}:{number}"
_HEX = re.compile("[0-9a-f]{32}")
_MOST_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Slots:
    """Slots of one length; `shown` of them, and the one that is not over, are what people are shown."""

    seconds: int
    shown: int

    @property
    def kept_seconds(self) -> int:
        return self.seconds * (self.shown + 2)

    def key(self, at: float) -> str:
        """Of the slot that a moment (seconds since 1970) is in."""
        return _KEY.format(seconds=self.seconds, number=int(at) // self.seconds)

    def keys(self, now: datetime) -> list[str]:
        """Of what is shown at that moment, the newest first."""
        return [self.key(now.timestamp() - n * self.seconds) for n in range(self.shown + 1)]


LAST_HOUR = Slots(seconds=300, shown=12)
LAST_DAY = Slots(seconds=3600, shown=24)


def field_name(target_id: UUID, outcome: str) -> str:
    """A slot's field for one target and outcome."""
    return f"{target_id.hex}:{outcome}"


@dataclass(frozen=True, slots=True)
class TargetOutcomes:
    """How many requests to a target came to what; the whole hour and day before the slot that is not over, and that slot."""

    hour: dict[str, int] = field(default_factory=dict)
    day: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, slot: Mapping[str, int]) -> None:
        """One slot's counts of this target to `hour` or `day`."""
        sums: dict[str, int] = getattr(self, name)
        for outcome, number in slot.items():
            sums[outcome] = sums.get(outcome, 0) + number


def read_slot(fields: Mapping[str, str]) -> dict[UUID, dict[str, int]]:
    """A slot's counts by target and outcome, without what is neither."""
    found: dict[UUID, dict[str, int]] = {}
    ids: dict[str, UUID] = {}
    for name, number in fields.items():
        text, _, outcome = name.partition(":")
        if not (_HEX.fullmatch(text) and number.isdecimal() and len(number) <= _MOST_DIGITS):
            continue
        target_id = ids.get(text) or ids.setdefault(text, UUID(hex=text))
        found.setdefault(target_id, {})[outcome] = int(number)
    return found


def in_order(outcomes: Mapping[str, int]) -> list[tuple[str, int]]:
    """For people: good answers first, then what there is most of."""
    return sorted(outcomes.items(), key=lambda one: (one[0] != "ok", -one[1], one[0]))
