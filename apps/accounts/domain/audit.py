"""Who acted, and what of a change may be written down."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

SECRET = "(secret)"  # noqa: S105 -- what is written in a secret's place
_SECRET_WORDS = ("password", "secret", "api_key_sealed", "token_sealed")
_SECRET_NAMES = {"api_key", "sealed", "credential"}
_LONGEST_TEXT = 500


@dataclass(frozen=True, slots=True)
class Actor:
    """A person (`user`), a program with a key (`key`), somebody at the terminal (`command`), or nobody but the platform itself."""

    kind: str
    label: str
    id: UUID | None = None
    address: str = ""


PLATFORM = Actor(kind="platform", label="the platform")


def describe_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """`{field: {before, after}}` of what differs; of a secret only that it was changed."""
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return {name: {"before": _shown(name, before.get(name)), "after": _shown(name, after.get(name))} for name in names}


def is_secret(name: str) -> bool:
    """True for a field whose value must never be written down."""
    return name in _SECRET_NAMES or any(word in name for word in _SECRET_WORDS)


def _shown(name: str, value: Any) -> Any:
    if value is None or value == "":
        return None
    if is_secret(name):
        return SECRET
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, list | tuple | set):
        return [_shown("", part) for part in value]
    text = str(value)
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"
