"""A rolling restart: which parts, in which order, and how far it is."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from apps.ops.domain.parts import WORKERS

# Those who do the work before those who let it in: a new web process may take in what old workers don't know yet.
RESTART_ORDER = (*WORKERS, "beat", "flower", "model", "web")
_LEFT_ALONE = {"model"}


class PartUnknownError(Exception):
    """A part that can't be replaced; the message says which can."""


@dataclass(frozen=True, slots=True)
class Restart:
    """One request, and what came of it so far. `error` is empty while all goes well."""

    id: str
    parts: tuple[str, ...]
    replaced: tuple[str, ...] = ()
    is_over: bool = False
    error: str = ""
    # Secrets that the parts have from now on, by the names of their variables; gone from here once the supervisor has taken them over.
    environment: Mapping[str, str] = field(default_factory=dict)

    def after(self, part: str) -> "Restart":
        return replace(self, replaced=(*self.replaced, part))

    def ended(self, error: str = "") -> "Restart":
        return replace(self, is_over=True, error=error)


def parts_to_replace(running: Collection[str], wanted: Collection[str]) -> tuple[str, ...]:
    """In the order in which they are replaced; without a wish all but the model, which stays the same. The stores hold the work."""
    known = [name for name in RESTART_ORDER if name in running]
    if unknown := sorted(set(wanted) - set(known)):
        msg = f"{', '.join(unknown)} can't be replaced here; these can: {', '.join(known)}."
        raise PartUnknownError(msg)
    return tuple(name for name in known if (name in wanted if wanted else name not in _LEFT_ALONE))


def restart_from_json(value: Mapping[str, Any]) -> Restart:
    return Restart(
        id=value["id"],
        parts=tuple(value["parts"]),
        replaced=tuple(value["replaced"]),
        is_over=value["is_over"],
        error=value["error"],
        environment=dict(value.get("environment", {})),
    )
