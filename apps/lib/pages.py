"""Lists by cursor: newest first (or oldest), continued after the id of the last row seen."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet

from apps.lib.http_errors import ApiError

_WHOLE = re.compile("-?[0-9]+")

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """Some rows, and whether more follow."""

    rows: Sequence[M]
    has_more: bool

    def as_list(self, shape: Callable[[M], dict[str, Any]]) -> dict[str, Any]:
        """OpenAI's list object; clients continue with the id of the last row."""
        data = [shape(row) for row in self.rows]
        return {
            "object": "list",
            "data": data,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
            "has_more": self.has_more,
        }


def read_limit(text: str | None, *, default: int, most: int) -> int:
    """The page size that was asked for, brought into 1 to `most`: OpenAI's clients send 0 and worse."""
    if text is None:
        return default
    if not _WHOLE.fullmatch(text):
        raise ApiError(400, "invalid_value", f"'limit' must be a whole number, for example {default}.", param="limit")
    # Twenty digits are beyond any range; Python refuses to read thousands.
    return max(1, min(int(text[:20]), most))


def take_page(rows: QuerySet[M], *, after: UUID | None, limit: int, is_oldest_first: bool = False) -> Page[M]:
    """The page that follows the row `after` in order of (created_at, id); a row that is gone gives an empty page."""
    sign = "" if is_oldest_first else "-"
    if after is not None:
        last = rows.filter(pk=after).values_list("created_at", flat=True).first()
        if last is None:
            return Page([], has_more=False)
        side = "gt" if is_oldest_first else "lt"
        rows = rows.filter(Q(**{f"created_at__{side}": last}) | Q(created_at=last, **{f"pk__{side}": after}))
    found = list(rows.order_by(f"{sign}created_at", f"{sign}pk")[: limit + 1])
    return Page(found[:limit], has_more=len(found) > limit)
