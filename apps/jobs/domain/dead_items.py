"""Which dead items are meant, and what shall be different when they run again. Bad wishes are refused with the name of what is wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.lib.ids import parse_public_id, public_id

_PREFIXES = {"job_id": "batch_", "item_ids": "item_"}
MOST_ITEM_IDS = 1_000
USUAL_PER_MINUTE = 6_000
_MOST_PER_MINUTE = 1_000_000
_MOST_TOKENS = 10_000_000
_NAMES = {"fingerprint", "job_id", "item_ids", "model", "max_tokens", "per_minute", "dry_run", "reason"}
_REASON_LENGTH = 500


class WishRefusedError(Exception):
    """A request about dead items can't be taken; `param` names the place."""

    def __init__(self, param: str, message: str) -> None:
        super().__init__(message)
        self.param, self.message = param, message


@dataclass(frozen=True, slots=True)
class Selection:
    """All that is set must hold."""

    fingerprint: str = ""
    job_id: UUID | None = None
    item_ids: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """What differs in the next try; `per_minute` bounds how fast the items come back to the queue."""

    model: str = ""
    max_tokens: int | None = None
    per_minute: int = USUAL_PER_MINUTE


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants of some dead items."""

    selection: Selection
    change: Change
    is_dry_run: bool
    reason: str

    @property
    def item_ids(self) -> list[str]:
        return [public_id(_PREFIXES["item_ids"], item_id) for item_id in self.selection.item_ids]


def read_wish(values: object) -> Wish:
    """From the body of a request; WishRefusedError names what can't be taken."""
    if not isinstance(values, Mapping):
        raise WishRefusedError("body", "The body must be a JSON object.")
    unknown = sorted(str(name) for name in set(values) - _NAMES)
    if unknown:
        raise WishRefusedError(unknown[0][:100], f"Unknown name {unknown[0][:100]!r}; known are {', '.join(sorted(_NAMES))}.")
    selection = Selection(
        fingerprint=_fingerprint(values.get("fingerprint")), job_id=_id(values, "job_id"), item_ids=_item_ids(values.get("item_ids"))
    )
    if selection == Selection():
        raise WishRefusedError("fingerprint", "Say which items are meant: fingerprint, job_id or item_ids.")
    change = Change(
        model=_text(values, "model", 200),
        max_tokens=_number(values, "max_tokens", _MOST_TOKENS),
        per_minute=_number(values, "per_minute", _MOST_PER_MINUTE) or USUAL_PER_MINUTE,
    )
    is_dry_run = values.get("dry_run", False)
    if not isinstance(is_dry_run, bool):
        raise WishRefusedError("dry_run", "dry_run must be true or false.")
    return Wish(selection, change, is_dry_run, _text(values, "reason", _REASON_LENGTH))


def _fingerprint(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) != 16 or not set(value) <= set("0123456789abcdef"):
        raise WishRefusedError("fingerprint", "fingerprint must be 16 hex digits, as the list of groups gives it.")
    return value


def _id(values: Mapping[str, Any], name: str) -> UUID | None:
    value = values.get(name)
    # An empty text is refused: it would quietly mean more items than its sender thinks.
    if value is None:
        return None
    found = parse_public_id(_PREFIXES[name], value) if isinstance(value, str) else None
    if found is None:
        raise WishRefusedError(name, f"{name} must be {_PREFIXES[name]} and 32 hex digits.")
    return found


def _item_ids(value: object) -> tuple[UUID, ...]:
    if value is None:
        return ()
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) > MOST_ITEM_IDS:
        raise WishRefusedError("item_ids", f"item_ids must be a list of at most {MOST_ITEM_IDS:,} ids.")
    found = []
    for number, text in enumerate(value):
        item_id = parse_public_id(_PREFIXES["item_ids"], text) if isinstance(text, str) else None
        if item_id is None:
            raise WishRefusedError(f"item_ids[{number}]", "An id is item_ and 32 hex digits.")
        found.append(item_id)
    return tuple(found)


def _text(values: Mapping[str, Any], name: str, length: int) -> str:
    value = values.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > length or "\0" in value:
        raise WishRefusedError(name, f"{name} must be a text of at most {length} characters.")
    return value.strip()


def _number(values: Mapping[str, Any], name: str, most: int) -> int | None:
    value = values.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise WishRefusedError(name, f"{name} must be a whole number from 1 to {most:,}.")
    return value
