"""What an alert says, and when it is told of again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

LONGEST_TITLE = 200
LONGEST_TEXT = 4_000


class Severity(StrEnum):
    """How much it matters; in this order."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that a person should look at.

    `fingerprint` says which of its kind it is (a job's id, a budget's id and threshold): one alert is open for it, in its workspace (or
    in the platform, None: superusers alone see those). `title` says what happened in one line, `text` the rest and what to do. `path` is
    the page of the back office where one looks closer. `data` is for programs.
    """

    kind: str
    fingerprint: str
    severity: Severity
    title: str
    text: str
    workspace_id: UUID | None = None
    path: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """A path is always one of ours, so that no alert can lead anybody elsewhere."""
        if self.path and (not self.path.startswith("/") or self.path.startswith("//")):
            msg = f"An alert's path must be one of this site's own: {self.path!r}"
            raise ValueError(msg)


def is_worse(new: Severity, old: Severity) -> bool:
    """True when those who were told of the old one should be told of the new one."""
    return new.rank > old.rank
