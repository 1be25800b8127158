"""The page of spend in the back office: sums, course, parts and what moved, for whoever looks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from apps.accounts.queries import key_names, workspace_names, workspaces_for_submitting, workspaces_owned_by
from apps.jobs.queries.money import MOST_SORTED, find_jobs, list_dearest_items
from apps.ops.domain.spend_chart import draw, slots_of
from apps.ops.domain.spend_names import Names, value_of
from apps.ops.domain.spend_period import CHOICES, Period
from apps.ops.domain.spend_rows import crumbs_of, movers_of, rows_of, told
from apps.ops.domain.spend_view import DIMENSIONS, View
from apps.providers.queries import model_names, provider_names
from apps.spend.domain.spending import SUMS, Dimension, Move, Point, Question, Slice, Step, Sums
from apps.spend.queries.budget_bars import list_budget_bars
from apps.spend.queries.spending import find_movers, has_all_history, has_charges, read_course, read_forecast, split_spending

if TYPE_CHECKING:
    from apps.jobs.models import Item, Job

_ROWS = 25
_MOVERS = 6
_ITEMS = 20
_EXPORTED = 10_000
_MANY = {"job", "end_user", "prompt_version"}


@dataclass(frozen=True, slots=True)
class Reader:
    """Whose eyes: the workspaces that they see (None: all). Waste is the operator's: superusers alone see it."""

    workspace_ids: Sequence[UUID] | None
    is_superuser: bool
    user: Any

    @property
    def has_one_workspace(self) -> bool:
        return self.workspace_ids is not None and len(self.workspace_ids) == 1

    def shown_workspaces(self, view: View) -> Sequence[UUID] | None:
        """Those that the view is narrowed to; of a stranger's workspace nothing is left."""
        wanted = value_of("workspace", view.wanted.get("workspace", ""))
        if not isinstance(wanted, UUID):
            return self.workspace_ids
        return [wanted] if self.workspace_ids is None or wanted in self.workspace_ids else []


def show_spending(reader: Reader, view: View, period: Period, *, wants_moves: bool, now: datetime) -> dict[str, Any]:
    """Everything that the page shows; as many questions whatever is found. Of very many values either the dearest or what moved most."""
    question = _question(reader, view, period)
    earlier = replace(question, since=period.before.since, until=period.before.until)
    # Of one end user no hours are kept.
    step = Step.HOUR if period.is_hourly and "end_user" not in view.wanted else Step.DAY
    points, points_before = read_course(question, step, zone=period.zone), read_course(earlier, step, zone=period.zone)
    sums, before = _added(points), _added(points_before)
    are_many = view.by in _MANY
    parts = [] if are_many and wants_moves else _parts(question, view.by, points, period, _ROWS + 1)
    moves = [] if are_many and not wants_moves else _moves(question, view.by, period)
    job, items = _job_items(reader, view)
    names = _names(reader, view, [part.value for part in parts] + [move.value for move in moves])
    forecast = read_forecast(reader.workspace_ids, now=now, zone=period.zone, filters=question.filters)
    course = draw(*slots_of(period, step, points, points_before))
    shown, rest = (parts[:_ROWS], _rest(sums, parts[:_ROWS])) if len(parts) > _ROWS else (parts, None)
    return _links(view, period) | {
        "view": view, "period": period, "now": now, "is_superuser": reader.is_superuser, "sums": sums, "before": before,
        "words": told(sums.cost_usd, before.cost_usd, period.before_label), "forecast": forecast,
        "today_words": told(forecast.today_usd, forecast.last_week_until_now_usd, f"last {now.astimezone(period.zone):%A} by this time"),
        "month_began": forecast.month_began_at.astimezone(period.zone).date(),
        "retry_percent": round(sums.retry_usd * 100 / sums.cost_usd) if sums.cost_usd else 0,
        "course": course,
        "course_rows": [(one.slot, _day_query(view, one.slot.day)) for one in course.slots if one.slot.cost_usd is not None],
        "rows": rows_of(shown, total_usd=sums.cost_usd, view=view, names=names, is_superuser=reader.is_superuser), "rest": rest,
        "movers": movers_of(moves, view=view, names=names), "are_many": are_many, "wants_moves": wants_moves,
        "crumbs": crumbs_of(view, [value_of(name, text) for name, text in view.filters], names),
        "budgets": list_budget_bars(workspace_ids=reader.shown_workspaces(view), now=now),
        "job": job, "items": items, "most_sorted": MOST_SORTED,
        "has_any": bool(sums.calls or before.calls) or has_charges(reader.workspace_ids),
        "is_by_users": view.is_by_users, "may_submit": workspaces_for_submitting(reader.user).exists(),
        "may_budget": reader.is_superuser or workspaces_owned_by(reader.user).exists(),
        "has_all_history": has_all_history(),
    }  # fmt: skip


def list_parts(reader: Reader, view: View, period: Period) -> tuple[list[Slice], Names]:
    """All rows of the page's table, at most 10,000, and what they are called."""
    question = _question(reader, view, period)
    points = read_course(question, Step.DAY, zone=period.zone) if view.by == "day" else []
    parts = _parts(question, view.by, points, period, _EXPORTED)
    return parts, _names(reader, view, [part.value for part in parts])


def _question(reader: Reader, view: View, period: Period) -> Question:
    """To the end of the days that are shown: what is cut off from an hour or a day is not summed up, and would be read row by row."""
    return Question(period.span.since, period.ends_at, reader.workspace_ids, view.as_filters())


def _parts(question: Question, by: str, points: Sequence[Point], period: Period, limit: int) -> list[Slice]:
    if by != "day":
        return split_spending(question, Dimension(by), limit=limit)
    days = [Slice(f"{point.at.astimezone(period.zone):%Y-%m-%d}", point.sums) for point in points if point.sums != Sums()]
    return days[::-1][:limit]


def _moves(question: Question, by: str, period: Period) -> list[Move]:
    if by == "day":
        return []
    moves = find_movers(question, Dimension(by), earlier=period.before, limit=_MOVERS)
    return [move for move in moves if move.change_usd]


def _names(reader: Reader, view: View, values: Iterable[UUID | str | None]) -> Names:
    """Of the dimension that is shown and of the filters, what the reader may know."""
    ids: dict[str, set[UUID]] = {}
    for name, value in [*((view.by, value) for value in values), *((name, value_of(name, text)) for name, text in view.filters)]:
        if isinstance(value, UUID):
            ids.setdefault(name, set()).add(value)
    known = reader.workspace_ids
    workspaces = [one for one in ids.get("workspace", ()) if known is None or one in known]
    jobs = find_jobs(ids.get("job", ()), workspace_ids=known)
    return Names(
        {
            "workspace": workspace_names(workspaces),
            "api_key": key_names(ids.get("api_key", ()), workspace_ids=known),
            "job": {job_id: job.name for job_id, job in jobs.items()},
            "model": model_names(),
            "provider": provider_names(),
        }
    )


def _job_items(reader: Reader, view: View) -> "tuple[Job | None, list[Item]]":
    """The one job that the view is narrowed to, and what cost most in it."""
    job_id = value_of("job", view.wanted.get("job", ""))
    job = find_jobs([job_id], workspace_ids=reader.workspace_ids).get(job_id) if isinstance(job_id, UUID) else None
    return job, list_dearest_items(job, limit=_ITEMS) if job else []


def _links(view: View, period: Period) -> dict[str, Any]:
    """Where the page leads to."""
    choices = [{"label": label, "query": view.during(name).query(), "is_chosen": name == period.name} for name, label in CHOICES.items()]
    dimensions = [
        {"label": DIMENSIONS[name], "query": view.split_by(name).query(), "is_chosen": name == view.by}
        for name in view.dimensions
        if name == view.by or name not in view.wanted
    ]
    return {
        "choices": choices, "dimensions": dimensions, "dimension": DIMENSIONS[view.by], "query": view.query(),
        "form_pairs": [*view.filters, ("by", view.by)], "all_query": view.bare().query(),
        "today_query": view.during("today").query(), "month_query": view.during("month").query(),
        "last_month_query": view.during("last_month").query(),
    }  # fmt: skip


def _day_query(view: View, day: str) -> str:
    return view.within("day", day).query() if day else ""


def _rest(sums: Sums, parts: Iterable[Slice]) -> Sums:
    """What the rows that are not shown come to."""
    shown = sum((part.sums for part in parts), Sums())
    return Sums(*(getattr(sums, name) - getattr(shown, name) for name in SUMS))


def _added(points: Sequence[Point]) -> Sums:
    return sum((point.sums for point in points), Sums())
