"""Lists of the back office by keyset: a page begins after (or before) a row's id, so that the last costs what the first does.

Newest first. Nothing is counted that costs: in a big table the number of rows is the planner's estimate. A filter or a text without an
index of its own looks through a window of rows and says so; the next page looks through the next window.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.contrib.admin.views.main import PAGE_VAR
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Func, QuerySet, UUIDField, Value
from django.db.models.lookups import GreaterThan, GreaterThanOrEqual, LessThan, LessThanOrEqual
from django.http import HttpRequest
from unfold.views import ChangeList

# A table with no more rows than this is simply counted.
COUNTED_ROWS = 10_000
# So many rows a page looks through for a filter that no index serves.
WINDOW_ROWS = 100_000
_LAST = "last"
Rows = QuerySet[Any]


class About(int):
    """A number that is an estimate."""

    def __str__(self) -> str:
        size = 10 ** max(0, len(repr(int(self))) - 2)
        return f"about {round(int(self) / size) * size:,}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: after a row or before one; without a key at the newest row, or at the oldest."""

    is_backward: bool = False
    key: Any = None


def read_place(text: str, pk: Any) -> Place:
    """From the address; whatever is no place is the first page."""
    if text == _LAST:
        return Place(is_backward=True)
    side, _, key = text.partition("-")
    try:
        return Place(side == "before", pk.to_python(key)) if side in {"after", "before"} else Place()
    except (ValidationError, ValueError):
        return Place()


@dataclass(frozen=True, slots=True)
class Shown:
    """The rows of a page, whether there are newer and older ones, and where the window ended if it did before the page was full."""

    rows: list[Any]
    has_newer: bool
    has_older: bool
    edge: Any = None


@dataclass(frozen=True, slots=True)
class Source:
    """Rows to page through: as filters leave them, and as an index has them (`scope`).

    An index over (workspace, id) gives one workspace's rows in order, not those of several: each is asked for its newest. `prefix` is the
    column that such an index begins with, `partitions` its values. Rows are bounded by `only` and ordered by that column first: to the
    planner this order comes from that index alone. Asked for `workspace = x ORDER BY id` it would walk through all workspaces' ids
    instead, and through a million rows when those of `x` are old.
    """

    rows: Rows
    scope: Rows
    prefix: str = ""
    partitions: Sequence[Any] = ()
    is_windowed: bool = False

    def take(self, place: Place, limit: int) -> Shown:
        """The page at a place; going back to the beginning gives the whole first page."""
        shown = self._take(place, limit)
        if place.is_backward and place.key is not None and not shown.has_newer:
            return self._take(Place(), limit)
        return shown

    def _take(self, place: Place, limit: int) -> Shown:
        sign, edge = "" if place.is_backward else "-", None
        if self.is_windowed:
            with _walking():
                edge = self._edge(place.key, sign)
                found = self.first(limit + 1, sign, place.key, edge)
        else:
            found = self.first(limit + 1, sign, place.key)
        is_full = len(found) > limit
        has_more = is_full or edge is not None
        came = place.key is not None
        return Shown(
            rows=found[:limit][::-1] if place.is_backward else found[:limit],
            has_newer=has_more if place.is_backward else came,
            has_older=came if place.is_backward else has_more,
            edge=None if is_full else edge,
        )

    def first(self, limit: int, sign: str = "-", after: Any = None, until: Any = None) -> list[Any]:
        """So many, after a key and until another (in the order's own sense), in the order of their ids."""
        parts = self._parts(self.rows, sign, after, until)
        if len(parts) == 1:
            return list(parts[0][:limit])
        keys = sorted(_united(parts, slice(0, limit)), reverse=sign == "-")[:limit]
        return list(self.rows.filter(pk__in=keys).order_by(f"{sign}pk"))

    def _edge(self, after: Any, sign: str) -> Any:
        """The row at which the window ends; None when it takes in all that is left."""
        parts = self._parts(self.scope, sign, after)
        at = max(1, WINDOW_ROWS // len(parts))
        return (max if sign == "-" else min)(_united(parts, slice(at - 1, at)), default=None)

    def _parts(self, rows: Rows, sign: str, after: Any, until: Any = None) -> list[Rows]:
        beyond, within = (LessThan, GreaterThanOrEqual) if sign == "-" else (GreaterThan, LessThanOrEqual)
        bounds = [(compare, key) for compare, key in ((beyond, after), (within, until)) if key is not None]
        columns = (self.prefix, "pk") if self.prefix else ("pk",)
        parts = []
        for value in self.partitions if self.prefix else (None,):
            part = rows.filter(**only(self.prefix, value)) if self.prefix else rows
            for compare, key in bounds:
                part = part.filter(**{f"pk__{compare.lookup_name}": key})
                if self.prefix:
                    # Both columns in one comparison, too: so the index is entered at this row, not at the first of the partition.
                    part = part.filter(compare(Row(*columns), Row(Value(value), Value(key))))
            parts.append(part.order_by(*(f"{sign}{column}" for column in columns)))
        return parts

    def count(self) -> int:
        """Exactly in a small table; elsewhere as the planner thinks."""
        if estimate(self.rows.model._default_manager.all()) > COUNTED_ROWS:  # noqa: SLF001 -- how Django calls it
            return About(estimate(self.rows))
        return self.rows.order_by()[: 2 * COUNTED_ROWS].count()


_WALK = "SELECT " + ", ".join(
    f"set_config('enable_{way}', %(state)s, true)" for way in ("sort", "incremental_sort", "bitmapscan", "seqscan")
)


@contextmanager
def _walking() -> Iterator[None]:
    """The planner walks the index that has the order: of a rare value it would rather fetch every row of a workspace, and sort."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_WALK, {"state": "off"})
        yield
        cursor.execute(_WALK, {"state": "on"})


def _united(parts: Sequence[Rows], part: slice) -> list[Any]:
    """The keys of a part of each, in one query."""
    first, *others = [rows.values_list("pk", flat=True)[part] for rows in parts]
    return list(first.union(*others, all=True) if others else first)


class Row(Func):
    """Columns or values to be compared together."""

    template = "ROW(%(expressions)s)"
    output_field = UUIDField()


def only(column: str, value: Any) -> dict[str, Any]:
    """The rows with one value, told as a range: with `=` the column would be no part of the order (see `Source`)."""
    return {f"{column}__gte": value, f"{column}__lte": value}


def estimate(rows: Rows) -> int:
    """How many the planner expects; nothing is read for it but statistics."""
    plan = rows.order_by().values("pk").explain(format="json")
    # Django asks nothing of Postgres when it sees by itself that there can be no row.
    return int(json.loads(plan)[0]["Plan"]["Plan Rows"]) if plan else 0


@dataclass(frozen=True, slots=True)
class PageLinks:
    """What stands below a list; an address is empty where there is nothing to go to."""

    first: str
    previous: str
    next: str
    last: str
    looked_through: int
    template_name: str = "accounts/pages.html"


class KeysetChangeList(ChangeList):  # type: ignore[misc]  # unfold ships no types
    """A list of a large table; its ModelAdmin says how the rows are indexed (`apps.lib.large_tables.LargeTable`)."""

    def get_filters(self, request: HttpRequest) -> Any:
        """Django's; a filter that an index begins with is told as a range."""
        specs, has_filters, lookups, *others = super().get_filters(request)
        for name, values in list(lookups.items()):
            if (field := field_of(name)) in self.model_admin.paged_by and len(values) == 1:
                del lookups[name]
                lookups |= {ranged: [value] for ranged, value in only(field, values[0]).items()}
        return specs, has_filters, lookups, *others

    def get_ordering(self, request: HttpRequest, queryset: Rows) -> list[str]:  # noqa: ARG002 -- Django's signature
        """By id alone, whatever the address says: another order would have to sort the table."""
        return ["-pk"]

    def get_ordering_field_columns(self) -> dict[int, str]:
        """No column is sorted by."""
        return {}

    def get_results(self, request: HttpRequest) -> None:
        """Django's, without counting and without skipping."""
        place = read_place(request.GET.get(PAGE_VAR, ""), self.opts.pk)
        source = self.model_admin.source_of(request, self)
        shown = source.take(place, self.list_per_page)
        is_all = not (shown.has_newer or shown.has_older)
        self.result_list = shown.rows
        # Asked for in any case, so that a long list asks no more often than a short one.
        number = source.count()
        self.result_count = len(shown.rows) if is_all else _at_least(number, len(shown.rows))
        self.full_result_count = None if self.has_active_filters or self.query else self.result_count
        self.show_full_result_count = False
        self.show_admin_actions = True
        self.can_show_all = self.multi_page = False
        self.paginator = self._links(place, shown)

    def _links(self, place: Place, shown: Shown) -> PageLinks:
        older, newer = _ends(place, shown)
        return PageLinks(
            first=self._to(None) if shown.has_newer else "",
            previous=self._to(newer) if shown.has_newer else "",
            next=self._to(older) if shown.has_older else "",
            last=self._to(_LAST) if shown.has_older else "",
            looked_through=WINDOW_ROWS if shown.edge is not None else 0,
        )

    def _to(self, place: str | None) -> str:
        return str(self.get_query_string({PAGE_VAR: place}))


def field_of(name: str) -> str:
    """The field that a filter in the address means by being equal."""
    return name.removesuffix("__exact").removesuffix("__id").removesuffix("_id")


def _at_least(number: int, shown: int) -> int:
    return number if number > shown else About(shown + 1)


def _ends(place: Place, shown: Shown) -> tuple[str, str]:
    """Where the next page begins and where the previous one does."""
    oldest, newest = (shown.rows[-1].pk, shown.rows[0].pk) if shown.rows else (shown.edge, shown.edge)
    if shown.edge is not None:
        oldest, newest = (oldest, shown.edge) if place.is_backward else (shown.edge, newest)
    if oldest is None:
        return _LAST, _LAST
    return f"after-{oldest}", f"before-{newest}"
