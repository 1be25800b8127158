"""Answers about spend as CSV, written while they are sent: a page of rows at a time is in memory, however many there are."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from apps.accounts.queries import keys_of
from apps.jobs.domain.export_table import plain_cell
from apps.ops.domain.asked_spending import Words
from apps.providers.queries import model_names, provider_names
from apps.spend.domain.spending import SUMS, Dimension, Point, Question, Sums
from apps.spend.queries.spending import list_parts

_OPERATORS = ("wasted", "waste_usd")
_ROWS = 1000
# Without it spreadsheets take UTF-8 for something else.
_MARK = "\ufeff"


def words() -> Words:
    """The names of today."""
    return Words(models=model_names(), providers=provider_names())


def name_values(by: Dimension, values: Sequence[UUID | str | None], *, workspace_id: UUID) -> dict[UUID | str | None, str]:
    """What people call the workspace's own keys; other values say it themselves."""
    if by is not Dimension.API_KEY:
        return {}
    return dict(keys_of(workspace_id).filter(id__in=[value for value in values if value]).values_list("id", "name"))


def parts_table(question: Question, by: Dimension, *, is_operator: bool) -> Iterator[bytes]:
    """Every value of a dimension, in the order of values: so that none is told twice while more is charged."""
    known = words()

    def row(value: UUID | str | None, sums: Sums) -> list[str]:
        return [plain_cell(known.tell(by, value) or ""), *_cells(sums, is_operator=is_operator)]

    rows = (row(part.value, part.sums) for part in list_parts(question, by))
    return _lines([by.value, *_names(is_operator=is_operator)], rows)


def course_table(points: Iterable[Point], *, is_operator: bool) -> Iterator[bytes]:
    """Every hour or day in turn."""
    rows = ([_moment(point.at), *_cells(point.sums, is_operator=is_operator)] for point in points)
    return _lines(["at", *_names(is_operator=is_operator)], rows)


def _names(*, is_operator: bool) -> list[str]:
    return [name for name in SUMS if is_operator or name not in _OPERATORS]


def _cells(sums: Sums, *, is_operator: bool) -> list[str]:
    values = (getattr(sums, name) for name in _names(is_operator=is_operator))
    return [f"{value.normalize():f}" if isinstance(value, Decimal) else str(value) for value in values]


def _moment(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _lines(head: Sequence[str], rows: Iterator[list[str]]) -> Iterator[bytes]:
    text = io.StringIO()
    writer: Callable[[Sequence[Any]], Any] = csv.writer(text).writerow
    text.write(_MARK)
    writer(head)
    for number, row in enumerate(rows, start=1):
        writer(row)
        if number % _ROWS == 0:
            yield _taken(text)
    yield _taken(text)


def _taken(text: io.StringIO) -> bytes:
    content = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    return content
