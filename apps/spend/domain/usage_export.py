"""A provider's usage export: what each model was used for, by day. CSV or JSON, by the names of `COLUMNS`."""

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

COUNTS = ("requests", "input_tokens", "cached_input_tokens", "output_tokens")
COLUMNS = ("day", "model", *COUNTS, "cost_usd")
_MOST_COUNT, _MOST_USD = 10**15, Decimal(10**8)


class ExportInvalidError(Exception):
    """The text names the row and the column, and what is wanted."""


@dataclass(frozen=True, slots=True)
class UsedOnDay:
    """One model on one day. What the export doesn't tell is None."""

    day: date
    model: str
    requests: int | None
    input_tokens: int | None
    cached_input_tokens: int | None
    output_tokens: int | None
    cost_usd: Decimal | None


def read_export(text: str) -> list[UsedOnDay]:
    """Rows of the same day and model are added up. A JSON list of objects, or CSV with a header; ExportInvalidError for anything else."""
    rows = _json_rows(text) if text.lstrip("\ufeff \t\r\n")[:1] in {"[", "{"} else list(csv.DictReader(text.lstrip("\ufeff").splitlines()))
    if not rows:
        raise ExportInvalidError(f"There is no row in it. Give the columns {', '.join(COLUMNS)}.")
    found: dict[tuple[date, str], UsedOnDay] = {}
    for number, row in enumerate(rows, start=1):
        used = _read(row, f"Row {number}")
        key = (used.day, used.model)
        found[key] = _sum(found[key], used) if key in found else used
    return [found[key] for key in sorted(found)]


def _json_rows(text: str) -> list[Any]:
    try:
        content = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise ExportInvalidError(f"It is no JSON: {error}") from error
    rows = content.get("data") if isinstance(content, dict) else content
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ExportInvalidError("Give a JSON list of objects, or an object with such a list in 'data'.")
    return rows


def _read(row: Mapping[str, Any], where: str) -> UsedOnDay:
    day, model = row.get("day"), row.get("model")
    if not isinstance(model, str) or not model.strip():
        raise ExportInvalidError(f"{where}: 'model' must be the provider's name for the model.")
    try:
        read_day = date.fromisoformat(str(day)[:10])
    except ValueError:
        raise ExportInvalidError(f"{where}: 'day' must be a day in UTC such as 2026-11-21, not {str(day)[:50]!r}.") from None
    counts = {name: _count(row.get(name), f"{where}: {name!r}") for name in COUNTS}
    return UsedOnDay(day=read_day, model=model.strip()[:200], cost_usd=_dollars(row.get("cost_usd"), f"{where}: 'cost_usd'"), **counts)


def _count(value: Any, where: str) -> int | None:
    if value is None or value == "":
        return None
    try:
        number = int(str(value))
    except ValueError:
        number = -1
    if not 0 <= number <= _MOST_COUNT:
        raise ExportInvalidError(f"{where} must be a whole number, not {str(value)[:50]!r}.")
    return number


def _dollars(value: Any, where: str) -> Decimal | None:
    if value is None or value == "":
        return None
    try:
        amount = Decimal(str(value).removeprefix("$"))
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or not 0 <= amount < _MOST_USD:
        raise ExportInvalidError(f"{where} must be an amount in dollars, not {str(value)[:50]!r}.")
    return amount


def _sum(one: UsedOnDay, other: UsedOnDay) -> UsedOnDay:
    sums = {name: _added((getattr(one, name), getattr(other, name))) for name in (*COUNTS, "cost_usd")}
    return replace(one, **sums)


def _added(values: Iterable[Any]) -> Any:
    told = [value for value in values if value is not None]
    return sum(told[1:], told[0]) if told else None
