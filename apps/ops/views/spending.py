"""`/api/spend`: what a workspace has spent, told apart by any dimension, as JSON and as CSV. Reading wants the scope `spend`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, DecimalException
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from apps.accounts.domain.keys import Scope
from apps.accounts.permissions import key_of
from apps.accounts.queries import read_workspace
from apps.lib.cursors import CursorInvalidError, read_cursor, write_cursor
from apps.lib.http_errors import ApiError
from apps.lib.streaming import stream_response
from apps.ops.domain.asked_spending import DIMENSIONS, Words, check_points, span_of
from apps.ops.queries.spending_table import course_table, name_values, parts_table, words
from apps.ops.serializers import (
    CourseQuerySerializer,
    CourseSerializer,
    MoversQuerySerializer,
    MoversSerializer,
    PartsPageQuerySerializer,
    PartsQuerySerializer,
    PartsSerializer,
    SpendQuerySerializer,
    SpendSerializer,
)
from apps.spend.domain.budgets import find_zone
from apps.spend.domain.spending import Dimension, Question, QuestionError, Slice, Span, Step, Sums, before
from apps.spend.queries.spending import find_movers, has_all_history, read_course, read_forecast, split_spending, sum_spending

_CSV = (200, "text/csv")
_TAGS = ["spend"]
# Of any cost that the columns hold.
_LONGEST_COST = 40


class AnyRenderer(JSONRenderer):
    """Lets a client ask for `text/csv`; only errors are rendered."""

    media_type = "*/*"


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, read."""

    values: Mapping[str, Any]
    question: Question
    words: Words
    zone: ZoneInfo
    home_zone: ZoneInfo
    now: datetime
    workspace_id: UUID
    is_operator: bool

    @property
    def by(self) -> Dimension:
        return Dimension(self.values["by"])

    @property
    def context(self) -> dict[str, Any]:
        """For serializers."""
        return {"is_operator": self.is_operator}

    def told(self) -> dict[str, Any]:
        """What every answer begins with."""
        question = self.question
        return {"since": question.since, "until": question.until, "time_zone": self.zone.key, "complete": has_all_history()}


def _read(request: Request, kind: type[Serializer[Any]]) -> _Asked:
    query = kind(data=request.query_params.dict())
    query.is_valid(raise_exception=True)
    values, key, known, now = query.validated_data, key_of(request), words(), timezone.now()
    home_zone = find_zone(read_workspace(key.workspace_id).time_zone)
    # End users are summed up by days in UTC: other days would be cut out of these, and read charge by charge.
    zone = ZoneInfo("UTC") if Dimension.END_USER in {values.get("by"), *values} else home_zone
    asked = {name: values.get(name) for name in ("period", "since", "until")}
    span = _answer(lambda: span_of(**asked, zone=zone, now=now))
    filters: dict[Dimension, UUID | str | None] = {
        by: _answer(lambda by=by: known.read(by, values[by.value])) for by in DIMENSIONS if by.value in values
    }
    return _Asked(
        values=values,
        question=Question(since=span.since, until=span.until, workspace_ids=[key.workspace_id], filters=filters),
        words=known,
        zone=zone,
        home_zone=home_zone,
        now=now,
        workspace_id=key.workspace_id,
        is_operator=Scope.PLATFORM in key.scopes,
    )


def _answer(ask: Any) -> Any:
    """What can't be answered is told with the parameter that asks it."""
    try:
        return ask()
    except QuestionError as error:
        raise ApiError(400, "invalid_value", error.why, param=error.part) from error


class SpendView(APIView):
    """What was spent in a stretch of time, with retries and savings as numbers of their own; today; and this month with its forecast."""

    required_scope = "spend"

    @extend_schema(operation_id="retrieve_spend", tags=_TAGS, parameters=[SpendQuerySerializer], responses=SpendSerializer)
    def get(self, request: Request) -> Response:
        asked = _read(request, SpendQuerySerializer)
        forecast = read_forecast([asked.workspace_id], now=asked.now, zone=asked.home_zone)
        total = _answer(lambda: sum_spending(asked.question))
        content = asked.told() | {"total": total, "today": forecast, "month": forecast}
        return Response(SpendSerializer(content, context=asked.context).data)


class SpendPartsView(APIView):
    """Told apart by a dimension, the dearest first. From a job go on to `/api/jobs/{job_id}/items`, and from an item to its charges."""

    required_scope = "spend"

    @extend_schema(operation_id="list_spend_parts", tags=_TAGS, parameters=[PartsPageQuerySerializer], responses=PartsSerializer)
    def get(self, request: Request) -> Response:
        asked = _read(request, PartsPageQuerySerializer)
        limit = asked.values["limit"]
        after = _after(asked.by, asked.values.get("cursor"))
        parts = _answer(lambda: split_spending(asked.question, asked.by, limit=limit + 1, after=after))
        content = asked.told() | {"data": _named(asked, parts[:limit]), "next_cursor": None}
        if len(parts) > limit:
            content["next_cursor"] = write_cursor(_list_name(asked.by), _place(parts[limit - 1]))
        return Response(PartsSerializer(content, context=asked.context).data)


class SpendPartsTableView(APIView):
    """The same as CSV, all of it, in the order of values."""

    required_scope = "spend"
    renderer_classes = [AnyRenderer]

    @extend_schema(operation_id="export_spend_parts", tags=_TAGS, parameters=[PartsQuerySerializer], responses={_CSV: OpenApiTypes.STR})
    def get(self, request: Request) -> StreamingHttpResponse:
        asked = _read(request, PartsQuerySerializer)
        chunks = _answer(lambda: parts_table(asked.question, asked.by, is_operator=asked.is_operator))
        return _download(request, chunks, f"spend-by-{asked.by.value}")


class SpendCourseView(APIView):
    """Hour by hour, or day by day. The course of an `end_user` is kept by days in UTC, and told so."""

    required_scope = "spend"

    @extend_schema(operation_id="read_spend_course", tags=_TAGS, parameters=[CourseQuerySerializer], responses=CourseSerializer)
    def get(self, request: Request) -> Response:
        asked = _read(request, CourseQuerySerializer)
        zone, step, points = _course(asked)
        content = asked.told() | {"time_zone": zone.key, "step": step.value, "data": [{"at": one.at, "sums": one.sums} for one in points]}
        return Response(CourseSerializer(content, context=asked.context).data)


class SpendCourseTableView(APIView):
    """The same as CSV."""

    required_scope = "spend"
    renderer_classes = [AnyRenderer]

    @extend_schema(operation_id="export_spend_course", tags=_TAGS, parameters=[CourseQuerySerializer], responses={_CSV: OpenApiTypes.STR})
    def get(self, request: Request) -> StreamingHttpResponse:
        asked = _read(request, CourseQuerySerializer)
        _, step, points = _course(asked)
        return _download(request, course_table(points, is_operator=asked.is_operator), f"spend-by-{step.value}")


class SpendMoversView(APIView):
    """What changed most against as much time just before: today against yesterday until this hour, and so on."""

    required_scope = "spend"

    @extend_schema(operation_id="list_spend_movers", tags=_TAGS, parameters=[MoversQuerySerializer], responses=MoversSerializer)
    def get(self, request: Request) -> Response:
        asked = _read(request, MoversQuerySerializer)
        question = asked.question
        span = Span(question.since, min(question.until, asked.now) if question.since < asked.now else question.until)
        so_far = Question(since=span.since, until=span.until, workspace_ids=question.workspace_ids, filters=question.filters)
        moves = _answer(lambda: find_movers(so_far, asked.by, limit=asked.values["limit"]))
        names = name_values(asked.by, [move.value for move in moves], workspace_id=asked.workspace_id)
        data = [
            {
                "value": asked.words.tell(asked.by, move.value), "name": names.get(move.value), "before_usd": move.before_usd,
                "now_usd": move.now_usd, "change_usd": move.change_usd,
            }
            for move in moves
        ]  # fmt: skip
        content = asked.told() | {"until": span.until, "before_since": before(span).since, "data": data}
        return Response(MoversSerializer(content).data)


def _course(asked: _Asked) -> tuple[ZoneInfo, Step, list[Any]]:
    step = Step(asked.values["step"])
    _answer(lambda: check_points(Span(asked.question.since, asked.question.until), step))
    return asked.zone, step, _answer(lambda: read_course(asked.question, step, zone=asked.zone))


def _named(asked: _Asked, parts: Sequence[Slice]) -> list[dict[str, Any]]:
    names = name_values(asked.by, [part.value for part in parts], workspace_id=asked.workspace_id)
    return [{"value": asked.words.tell(asked.by, part.value), "name": names.get(part.value), "sums": part.sums} for part in parts]


def _list_name(by: Dimension) -> str:
    return f"spend:{by.value}"


def _place(part: Slice) -> tuple[str, str]:
    return str(part.sums.cost_usd), "" if part.value is None else str(part.value)


def _place_of(content: object) -> tuple[Decimal, str]:
    """ValueError for what `_place` never wrote: anybody can make up a cursor."""
    match content:
        case [str() as cost, str() as text] if (
            len(cost) <= _LONGEST_COST and (amount := Decimal(cost)).is_finite() and abs(amount.adjusted()) <= _LONGEST_COST
        ):
            return amount, text
    raise ValueError


def _after(by: Dimension, cursor: str | None) -> Slice | None:
    if cursor is None:
        return None
    try:
        cost, text = _place_of(read_cursor(_list_name(by), cursor))
        value: UUID | str | None = (UUID(text) if text else None) if by.is_id else text.replace("\x00", "")
        return Slice(value, Sums(cost_usd=cost))
    except (CursorInvalidError, ValueError, DecimalException) as error:
        message = "'cursor' is not one that this list gave out. Send 'next_cursor' of the page before as it came, or leave it out."
        raise ApiError(400, "invalid_cursor", message, param="cursor") from error


def _download(request: Request, chunks: Any, name: str) -> StreamingHttpResponse:
    response = stream_response(request._request, chunks, content_type="text/csv; charset=utf-8")  # noqa: SLF001 -- REST framework's name for Django's own
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response
