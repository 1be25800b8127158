"""What a question is about, as one SELECT: rows of sums, and of the ledgers what isn't summed up yet or is cut out of an hour."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from apps.spend.domain.spending import SUMS, Cut, Question, Span
from apps.spend.queries.entries import SOURCES, Source, Table

# Without a mark nothing is summed up yet. No number is as high as the second one: of two bounds the planner takes it that few rows lie
# between them, of one alone that a third of all rows do.
_MARK = "coalesce((SELECT before FROM spend_rollupmark WHERE source = '{source}'), 0)"
_NOT_YET = f"transaction_id >= {_MARK} AND transaction_id < 4611686018427387904"

# For a short stretch the planner would go by the time that rows were written, and read all of them; few are not summed up yet.
_UNINDEXED = "(created_at + interval '0')"
_HULL = "hull"


def entries_within(
    question: Question,
    ladder: Sequence[Table],
    parts: Cut,
    columns: Sequence[str],
    *,
    sums: Sequence[str] = SUMS,
    narrowed: Sequence[str] = ("true",),
    ends: str = "",
    prefix: str = "",
) -> tuple[str, dict[str, Any]]:
    """These columns, these sums, and when; with its values. `parts`: by the widths of the ladder's tables.

    `narrowed`: what rows of sums must also meet, read once for each; the ledgers' rows are not narrowed. `ends`: another SELECT of the
    same for what is cut out of rows of sums. `prefix`: of the values' names, where a statement reads two of these.
    """
    conditions, values = filters_of(question)
    names = ", ".join((*columns, *sums))
    selects = []
    for table, wholes in zip(ladder, parts.wholes, strict=True):
        if wholes:
            where = " AND ".join([_within(wholes, "begins_at", prefix + table.width.value, values), *conditions])
            selects += [f"SELECT begins_at AS created_at, {names} FROM {table.name} WHERE {where} AND {more}" for more in narrowed]  # noqa: S608 -- our own names
    if summed := [span for found in parts.wholes for span in found]:
        selects += [_from_ledger(source, [*_new(source, summed, values, name=f"{prefix}new"), *conditions], names) for source in SOURCES]
    if ends:
        selects.append(ends)
    elif parts.ends or not selects:
        within = [_within(parts.ends, "created_at", f"{prefix}end", values), *conditions]
        selects += [_from_ledger(source, within, names) for source in SOURCES]
    return " UNION ALL ".join(selects), values


def ends_within(question: Question, parts: Cut) -> tuple[str, dict[str, Any]]:
    """Of the ledgers' rows that are cut out of rows of sums end user, cost, and when; with its values. Empty: none are."""
    if not parts.ends:
        return "", {}
    conditions, values = filters_of(question)
    within = [_within(parts.ends, "created_at", "end", values), *conditions]
    return " UNION ALL ".join(_from_ledger(source, within, "end_user, cost_usd") for source in SOURCES), values


def rows_of_users(question: Question, users: str, moments: str, columns: Sequence[str], sums: Sequence[str]) -> str:
    """The ledgers' rows of a SELECT of end users at these moments, another SELECT: these columns, these sums, and when."""
    where = [f"created_at = ANY(ARRAY({moments}))", f"end_user = ANY(ARRAY({users}))", *filters_of(question)[0]]
    return " UNION ALL ".join(_from_ledger(source, where, ", ".join((*columns, *sums))) for source in SOURCES)


def jobs_within(question: Question, span: Span) -> tuple[str, dict[str, Any]]:
    """The jobs of which something isn't summed up yet; its values have other names than those of `entries_within`."""
    return _new_within("job_id", question, span)


def users_within(question: Question, span: Span) -> tuple[str, dict[str, Any]]:
    """The end users of which something isn't; the same of its values."""
    return _new_within("end_user", question, span)


def _new_within(column: str, question: Question, span: Span) -> tuple[str, dict[str, Any]]:
    conditions, values = filters_of(question)
    selects = (
        f"SELECT {column} FROM {source.table} WHERE {' AND '.join([*_new(source, [span], values, name=_HULL), *conditions])}"  # noqa: S608 -- our own names
        for source in SOURCES
    )
    return " UNION ALL ".join(selects), values


def _new(source: Source, spans: Sequence[Span], values: dict[str, Any], *, name: str = "new") -> list[str]:
    return [_NOT_YET.format(source=source.name), _within(spans, _UNINDEXED, name, values)]


def _within(spans: Sequence[Span], column: str, name: str, values: dict[str, Any]) -> str:
    """A condition; what it names is added to the values."""
    texts = []
    for number, span in enumerate(spans):
        values |= {f"{name}_since_{number}": span.since, f"{name}_until_{number}": span.until}
        texts.append(f"({column} >= %({name}_since_{number})s AND {column} < %({name}_until_{number})s)")
    return f"({' OR '.join(texts)})" if texts else "false"


def _from_ledger(source: Source, where: Sequence[str], names: str) -> str:
    return f"SELECT created_at, {names} FROM ({source.entries(' AND '.join(where))}) AS {source.name}"  # noqa: S608 -- our own names


def only_of_workspaces(question: Question) -> list[str]:
    """Of its conditions that on workspaces alone; its value is among those of the others."""
    return filters_of(replace(question, filters={}))[0]


def filters_of(question: Question) -> tuple[list[str], dict[str, Any]]:
    """Conditions on rows, with their values."""
    conditions: list[str] = []
    values: dict[str, Any] = {}
    if question.workspace_ids is not None:
        conditions.append("workspace_id = ANY(%(workspaces)s::uuid[])")
        values["workspaces"] = list(question.workspace_ids)
    for dimension, value in question.filters.items():
        if value is None and dimension.is_id:
            conditions.append(f"{dimension.column} IS NULL")
        else:
            conditions.append(f"{dimension.column} = %({dimension.value})s")
            values[dimension.value] = value if value is not None else ""
    return conditions, values
