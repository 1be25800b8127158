"""What somebody looks at on the pages of spend, and the addresses that lead on from there: filters, period, the dimension shown."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode
from uuid import UUID

from apps.spend.domain.spending import Dimension

DIMENSIONS = {
    "workspace": "Workspace",
    "feature": "Feature",
    "prompt_version": "Prompt version",
    "model": "Model",
    "provider": "Provider",
    "upstream_model": "Model at the provider",
    "end_user": "End user",
    "api_key": "API key",
    "lane": "Lane",
    "job": "Job",
    "day": "Day",
}
# Where a click on a row of one leads: to the first of these that is not settled yet.
_NEXT = {
    "workspace": ("feature", "model", "job"),
    "feature": ("model", "end_user", "job"),
    "prompt_version": ("model", "feature", "job"),
    "model": ("provider", "feature", "job"),
    "provider": ("model", "feature", "job"),
    "upstream_model": ("feature", "end_user", "job"),
    "end_user": ("feature", "model", "job"),
    "api_key": ("feature", "model", "job"),
    "lane": ("feature", "model", "job"),
    "job": ("model", "end_user", "day"),
    "day": ("feature", "model", "job"),
}
_MOST_CHARACTERS = 255
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class View:
    """`filters` in the order in which they were chosen; `days` is (from, to) where the period is somebody's own."""

    period: str = ""
    days: tuple[str, str] = ("", "")
    filters: tuple[tuple[str, str], ...] = ()
    by: str = "feature"

    @property
    def is_by_users(self) -> bool:
        """Whether end users are told apart, who are summed up by days of UTC alone."""
        return self.by == "end_user" or "end_user" in self.wanted

    @property
    def dimensions(self) -> list[str]:
        """What it can be split by: jobs and end users are not told apart both at once."""
        barred = {"job": "end_user", "end_user": "job"}
        return [name for name in DIMENSIONS if barred.get(name) not in self.wanted]

    @property
    def wanted(self) -> dict[str, str]:
        return dict(self.filters)

    def as_filters(self) -> dict[Dimension, UUID | str | None]:
        """As a question has them; without a value: those that have none."""
        return {Dimension(name): (UUID(value) if Dimension(name).is_id else value) if value else None for name, value in self.filters}

    @property
    def unsettled(self) -> list[str]:
        """The dimensions that have more than one value still."""
        return [name for name in self.dimensions if name not in self.wanted]

    def query(self) -> str:
        """What stands behind the question mark."""
        days = [(name, day) for name, day in zip(("from", "to"), self.days, strict=True) if day]
        return urlencode([*([("period", self.period)] if self.period else []), *days, *self.filters, ("by", self.by)])

    def split_by(self, dimension: str) -> "View":
        return replace(self, by=dimension)

    def within(self, dimension: str, value: str) -> "View":
        """Narrowed to one value of a dimension, and split by what is asked next; a day is a period of its own."""
        if dimension == "day":
            narrowed = replace(self, period="own", days=(value, value))
        else:
            narrowed = replace(self, filters=(*(pair for pair in self.filters if pair[0] != dimension), (dimension, value)))
        return replace(narrowed, by=next((name for name in _NEXT[dimension] if name in narrowed.unsettled), "day"))

    def without(self, dimension: str) -> "View":
        return replace(self, filters=tuple(pair for pair in self.filters if pair[0] != dimension), by=dimension)

    def up_to(self, dimension: str) -> "View":
        """With the filters chosen before this one, and this one."""
        names = [name for name, _ in self.filters]
        kept = self.filters[: names.index(dimension) + 1]
        return replace(self, filters=kept)

    def bare(self) -> "View":
        return replace(self, filters=())

    def during(self, period: str) -> "View":
        return replace(self, period=period, days=("", ""))


def read_view(pairs: Iterable[tuple[str, str]], *, default_by: str = "feature") -> tuple[View, list[str]]:
    """The view that a query string means, and what of it was left out because it can't mean anything."""
    values: Mapping[str, str] = dict(pairs)
    filters, complaints = [], []
    for name, text in values.items():
        if name not in DIMENSIONS or name == "day":
            continue
        value = _read_value(name, text)
        if value is None:
            complaints.append(f"{DIMENSIONS[name]}: {text[:60]!r} can't be one; it was left out.")
        else:
            filters.append((name, value))
    if {"job", "end_user"} <= {name for name, _ in filters}:
        filters = [pair for pair in filters if pair[0] != "end_user"]
        complaints.append("A job and an end user can't be asked for both at once; the end user was left out.")
    view = View(
        period=values.get("period", "")[:20],
        days=(values.get("from", "")[:20], values.get("to", "")[:20]),
        filters=tuple(filters),
        by=default_by,
    )
    by = values.get("by", "")
    if by in view.dimensions:
        view = replace(view, by=by)
    elif default_by in view.wanted:
        view = replace(view, by=view.unsettled[0])
    return view, complaints


def _read_value(name: str, text: str) -> str | None:
    if not Dimension(name).is_id:
        return None if len(text) > _MOST_CHARACTERS or _CONTROL.search(text) else text
    try:
        return str(UUID(hex=text.rsplit("_", 1)[-1])) if text else ""
    except ValueError:
        return None
