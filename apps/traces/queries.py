"""Read the record."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import redis

from apps.lib.ids import first_uuid7
from apps.lib.redis_client import redis_client
from apps.lib.sql import server_cursor
from apps.traces.domain.bodies import open_body
from apps.traces.domain.slots import LAST_DAY, LAST_HOUR, SINCE_KEY, TargetOutcomes, read_slot
from apps.traces.models import Effect, Exchange, Run

# Longer than any call may take.
_LONGEST_RUN = timedelta(days=1)
_MOST_ANSWER_BYTES, _MOST_BYTES_TOGETHER = 1_000_000, 8_000_000


def read_bodies(ids: Sequence[bytes]) -> dict[bytes, bytes]:
    """The contents behind `ids`, by id; one that is gone (expired) is left out."""
    with server_cursor() as cursor:
        cursor.execute("SELECT id, content FROM traces_body WHERE id = ANY(%b::bytea[])", (list(ids),))
        return {body_id: open_body(content) for body_id, content in cursor}


def read_body_sizes(ids: Sequence[bytes]) -> dict[bytes, int]:
    """How many bytes each content has, so that big ones need not be read together."""
    with server_cursor() as cursor:
        cursor.execute("SELECT id, size_bytes FROM traces_body WHERE id = ANY(%b::bytea[])", (list(ids),))
        return dict(cursor.fetchall())


def list_runs(*, item_id: UUID) -> list[dict[str, Any]]:
    """Every attempt at an item, oldest first, each with its `exchanges`."""
    runs: list[dict[str, Any]] = [dict(run) for run in Run.objects.filter(item_id=item_id).order_by("id").values()]
    exchanges = list_exchanges(run_ids=[run["id"] for run in runs])
    for run in runs:
        run["exchanges"] = [exchange for exchange in exchanges if exchange["run_id"] == run["id"]]
    return runs


def list_effects(*, item_id: UUID) -> list[dict[str, Any]]:
    """What tools did for an item, in order, with `arguments` and `result` as texts (None: expired, or none) and `seconds`."""
    effects: list[dict[str, Any]] = [dict(one) for one in Effect.objects.filter(item_id=item_id).order_by("seq", "place").values()]
    names = {"arguments": "arguments_body_id", "result": "result_body_id"}
    bodies = read_bodies([bytes(one[column]) for one in effects for column in names.values() if one[column] is not None])
    for one in effects:
        for name, column in names.items():
            found = None if one[column] is None else bodies.get(bytes(one[column]))
            one[name] = None if found is None else found.decode("utf-8", "replace")
        one["seconds"] = (one["ended_at"] - one["started_at"]).total_seconds() if one["ended_at"] else None
    return effects


def list_exchanges(*, run_ids: Sequence[UUID]) -> list[dict[str, Any]]:
    """The requests of these runs, oldest first."""
    rows: Iterable[Any] = Exchange.objects.filter(run_id__in=run_ids).order_by("id").values()
    return list(rows)


def read_raw_answers(runs: Iterable[dict[str, Any]]) -> dict[bytes, bytes]:
    """What providers answered in these runs, by body id. Left out: what is gone, what is over 1 MB, and all beyond 8 MB together."""
    ids = [bytes(one["answer_body_id"]) for run in runs for one in run["exchanges"] if one["answer_body_id"] is not None]
    chosen, total = [], 0
    for body_id, size in read_body_sizes(list(dict.fromkeys(ids))).items():
        if size <= _MOST_ANSWER_BYTES and total + size <= _MOST_BYTES_TOGETHER:
            chosen.append(body_id)
            total += size
    return read_bodies(chosen)


def find_item_of_run(run_id: UUID) -> UUID | None:
    """Which item a run tried; None for an unknown run."""
    return Run.objects.filter(id=run_id).values_list("item_id", flat=True).first()


def list_runs_of(*, outcomes: Sequence[str], since: datetime) -> list[tuple[UUID, str]]:
    """(run, outcome) of those that ended since then with one of these outcomes; found by their ids, which tell when they began."""
    runs = Run.objects.filter(id__gte=first_uuid7(since - _LONGEST_RUN), outcome__in=outcomes, ended_at__gte=since)
    return list(runs.values_list("id", "outcome"))


@dataclass(frozen=True, slots=True)
class TargetCalls:
    """HTTP requests to one target lately: how many of each outcome; how long the good ones took, in all and to the first byte."""

    outcomes: dict[str, int]
    p50_seconds: float | None = None
    p95_seconds: float | None = None
    p99_seconds: float | None = None
    first_byte_p50_seconds: float | None = None
    first_byte_p95_seconds: float | None = None
    first_byte_p99_seconds: float | None = None

    @property
    def calls(self) -> int:
        return sum(self.outcomes.values())


# Ids grow with time, so the primary key finds the newest; a busy platform makes a million of them an hour.
MOST_CALLS = 20_000
_LATELY = """
WITH lately AS (
    SELECT target_id, outcome, duration_seconds, first_byte_seconds FROM traces_exchange
    WHERE id >= %b AND id < %b ORDER BY id DESC LIMIT %b
)
SELECT target_id, outcome, count(*), percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY duration_seconds),
    percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY first_byte_seconds)
FROM lately GROUP BY target_id, outcome
"""


def read_calls(*, since: datetime, until: datetime) -> dict[UUID, TargetCalls]:
    """By target; of the newest MOST_CALLS at most."""
    found: dict[UUID, TargetCalls] = {}
    with server_cursor() as cursor:
        cursor.execute(_LATELY, (first_uuid7(since), first_uuid7(until), MOST_CALLS))
        for target_id, outcome, calls, took, first_byte in cursor:
            known = found.setdefault(target_id, TargetCalls({}))
            known.outcomes[outcome] = calls
            if outcome == "ok":
                found[target_id] = TargetCalls(known.outcomes, *took, *(first_byte or ()))
    return found


@dataclass(frozen=True, slots=True)
class OutcomeCounts:
    """What requests came to, by target; `since` when they have been counted for less than a day (Redis had lost its data)."""

    targets: dict[UUID, TargetOutcomes]
    since: datetime | None = None


def read_outcomes(*, now: datetime) -> OutcomeCounts:
    """The last hour's by slots of five minutes and the last day's by hours, in one round trip; raises RedisError when Redis is away."""
    wanted = [("hour", key) for key in LAST_HOUR.keys(now)] + [("day", key) for key in LAST_DAY.keys(now)]
    with redis_client().pipeline(transaction=False) as pipeline:
        pipeline.get(SINCE_KEY)
        for _, key in wanted:
            pipeline.hgetall(key)
        since, *slots = list[Any](pipeline.execute(raise_on_error=False))
    targets: dict[UUID, TargetOutcomes] = {}
    for (name, _), slot in zip(wanted, slots, strict=True):
        if isinstance(slot, redis.ResponseError):
            continue  # a key that is no hash: figures may be lost
        for target_id, counts in read_slot(slot).items():
            targets.setdefault(target_id, TargetOutcomes()).add(name, counts)
    began_at = _moment(since)
    return OutcomeCounts(targets, began_at if began_at and began_at > now - timedelta(days=1) else None)


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment if moment and moment.tzinfo else None
