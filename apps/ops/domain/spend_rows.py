"""Rows of the spend pages' tables: parts with their shares, what moved, and words for a comparison."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from apps.ops.domain.spend_names import Names
from apps.ops.domain.spend_view import DIMENSIONS, View
from apps.spend.domain.spending import Move, Slice, Sums

_TIMES = 10
_SAME_PERCENT = Decimal("0.5")


@dataclass(frozen=True, slots=True)
class Row:
    """A value of the dimension that is shown. `query` leads into it, `page` (with `key`) to the row's own page, if it has one."""

    label: str
    query: str
    page: str
    key: UUID | str | None
    sums: Sums
    percent: float


@dataclass(frozen=True, slots=True)
class Mover:
    """What costs clearly more or less than before."""

    label: str
    query: str
    move: Move

    @property
    def words(self) -> str:
        return compare(self.move.now_usd, self.move.before_usd)


@dataclass(frozen=True, slots=True)
class Crumb:
    """A filter: `query` leads back to it, `without` away from it."""

    dimension: str
    label: str
    query: str
    without: str


def rows_of(parts: Iterable[Slice], *, total_usd: Decimal, view: View, names: Names, is_superuser: bool) -> list[Row]:
    return [
        Row(
            label=names.of(view.by, part.value),
            query=view.within(view.by, _text(part.value)).query(),
            page=names.page_of(view.by, part.value, is_superuser=is_superuser),
            key=part.value,
            sums=part.sums,
            percent=float(part.sums.cost_usd * 100 / total_usd) if total_usd else 0.0,
        )
        for part in parts
    ]


def movers_of(moves: Iterable[Move], *, view: View, names: Names) -> list[Mover]:
    return [Mover(names.of(view.by, move.value), view.within(view.by, _text(move.value)).query(), move) for move in moves]


def crumbs_of(view: View, values: Sequence[UUID | str | None], names: Names) -> list[Crumb]:
    return [
        Crumb(DIMENSIONS[name], names.of(name, value), view.up_to(name).query(), view.without(name).query())
        for (name, _), value in zip(view.filters, values, strict=True)
    ]


def told(now: Decimal, before: Decimal, what: str) -> str:
    """The comparison as a phrase; `what` is the stretch of time that it is compared with."""
    if not before:
        return f"{what}: nothing"
    words = compare(now, before)
    return f"the same as {what}" if words == "the same" else f"{words} {'as' if words.endswith('as much') else 'than'} {what}"


def compare(now: Decimal, before: Decimal) -> str:
    """How much more or less, in words."""
    if not before:
        return "nothing was spent then" if now else "nothing then either"
    percent = (now - before) * 100 / before
    if abs(percent) < _SAME_PERCENT:
        return "the same"
    if now >= before * _TIMES:
        return f"{now / before:,.0f} times as much"
    return f"{abs(percent):.0f} % {'more' if percent > 0 else 'less'}"


def _text(value: UUID | str | None) -> str:
    return "" if value is None else str(value)
