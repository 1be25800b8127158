"""Claim items: the only place that begins a run. One short transaction, none is open while a provider thinks."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from apps.jobs.actions.find_kept import with_kept_answers
from apps.jobs.actions.hold_jobs import Hold, hold_jobs
from apps.jobs.actions.reserve_items import reserve_items
from apps.jobs.actions.share_inputs import Begun, Shared, share_inputs
from apps.jobs.domain.claimed import ClaimedItem
from apps.jobs.domain.fairness import Candidate, ModelBounds, share_room
from apps.jobs.domain.ready import NOT_HELD
from apps.jobs.domain.retry import Tries
from apps.lib.failpoints import failpoint
from apps.lib.ids import uuid7
from apps.lib.sql import begin_short, server_cursor
from apps.providers.domain.calls import Stage
from apps.providers.domain.dearest import Quoter
from apps.providers.domain.policy import AnswerPolicy, parse_policy
from apps.spend.actions import open_purses_of_jobs
from apps.spend.domain.budgets import Subject
from apps.traces.queries import read_bodies

# An item lost this often is a suspect: it runs with few others, and after one more loss alone (see sweep).
SUSPECT_LOSSES = 2
ALONE_LOSSES = 3
SUSPECTS_AT_ONCE = 8
_ROUNDS = 3
_JOBS_A_WORKSPACE = 50
_JOBS_AT_ONCE = 500

_READY = "state = 'waiting' AND not_before <= statement_timestamp()"
_ORDINARY = f"{_READY} AND losses < {SUSPECT_LOSSES}"
# The order of the index, also where any item would do: it makes the planner read one entry instead of all of them.
_IN_ORDER = "ORDER BY item.not_before, item.id"

# Claimed items leave dead entries at the front of the index until a vacuum; looking only behind a job's mark (the last item
# claimed of it) keeps a claim from walking over all of them: in a job of 200,000 items that was a third of the cost of an item.
_BEHIND_MARK = (
    "(item.not_before, item.id) > (coalesce(mark.ready_at, '-infinity'), coalesce(mark.id, '00000000-0000-0000-0000-000000000000'))"
)
_MARKS = "unnest(%(marked)s::uuid[], %(marked_at)s::timestamptz[], %(marked_ids)s::uuid[]) AS mark (job_id, ready_at, id)"

# Only for jobs of several models: those of one are left out whole, without a look at their items. Where a first model is asked,
# an item stands in line for that one, until its answer was not accepted.
_OPEN_MODEL = "(job.model_name <> '' AND job.first_model_name = '' OR item.model_id <> ALL(%(blocked_ids)s::uuid[]))"

# Ranked within each workspace, so that one with thousands of jobs does not push another's out of the list.
_CANDIDATES = f"""
SELECT id, workspace_id, lane, kind, endpoint, api_key_id, policy, on_budget, coalesce(nullif(first_model_name, ''), model_name) FROM (
    SELECT job.*, row_number() OVER (PARTITION BY job.workspace_id ORDER BY job.id) AS rank
    FROM jobs_job AS job LEFT JOIN {_MARKS} ON mark.job_id = job.id
    CROSS JOIN LATERAL (
        SELECT FROM jobs_item AS item WHERE item.job_id = job.id AND {_ORDINARY} AND {_BEHIND_MARK} AND {_OPEN_MODEL} {_IN_ORDER} LIMIT 1
    ) AS ready
    WHERE status = 'running' AND {NOT_HELD} AND lane = ANY(%(lanes)s)
      AND (first_model_name <> '' OR model_name <> ALL(%(blocked_names)s::text[]))
) AS ranked
WHERE rank <= {_JOBS_A_WORKSPACE} ORDER BY rank, id LIMIT {_JOBS_AT_ONCE}
"""  # noqa: S608 -- constants of this module

_READY_LANES = f"""
SELECT DISTINCT lane FROM jobs_job AS job
CROSS JOIN LATERAL (SELECT FROM jobs_item AS item WHERE item.job_id = job.id AND {_ORDINARY} {_IN_ORDER} LIMIT 1) AS ready
WHERE status = 'running' AND {NOT_HELD} AND lane = ANY(%s)
"""  # noqa: S608 -- constants of this module
_RETURNED = """
RETURNING item.id, item.run_id, item.job_id, item.workspace_id, item.model_id, item.lane, item.end_user, item.feature,
          item.reply_to, item.attempts, item.ambiguous_tries, item.free_tries, item.claimed_at, item.request_body_id, item.not_before,
          item.stage, item.paid_calls, item.answer_body_id, item.prompt_version
"""
_BEGIN = """
UPDATE jobs_item AS item
SET state = 'running', lane = picked.lane, run_id = (%(run_ids)s::uuid[])[picked.n], pump_id = %(pump_id)s,
    claimed_at = statement_timestamp(), lease_until = statement_timestamp() + %(lease)s * interval '1 second'
FROM picked
WHERE item.id = picked.id
"""
_CLAIM = f"""
WITH picked AS (
    SELECT ready.id, wanted.lane, row_number() OVER () AS n
    FROM unnest(%(job_ids)s::uuid[], %(quotas)s::int[], %(job_lanes)s::text[]) AS wanted (job_id, quota, lane)
    LEFT JOIN {_MARKS} ON mark.job_id = wanted.job_id
    CROSS JOIN LATERAL (
        SELECT item.id FROM jobs_item AS item WHERE item.job_id = wanted.job_id AND {_ORDINARY} AND {_BEHIND_MARK}
        AND item.model_id <> ALL(%(blocked_ids)s::uuid[]) {_IN_ORDER} LIMIT wanted.quota FOR UPDATE SKIP LOCKED
    ) AS ready
)
{_BEGIN} {_RETURNED}
"""  # noqa: S608 -- constants of this module
_CLAIM_SUSPECTS = f"""
WITH worst AS (
    SELECT item.id, item.losses, job.lane FROM jobs_item AS item JOIN jobs_job AS job ON job.id = item.job_id
    WHERE item.state = 'waiting' AND item.not_before <= statement_timestamp() AND item.losses >= {SUSPECT_LOSSES}
      AND job.status = 'running' AND {NOT_HELD} AND job.lane = ANY(%(lanes)s)
    ORDER BY item.losses DESC, item.id LIMIT {SUSPECTS_AT_ONCE} FOR UPDATE OF item SKIP LOCKED
), picked AS (
    SELECT id, lane, row_number() OVER (ORDER BY losses DESC, id) AS n FROM worst
    WHERE (SELECT max(losses) FROM worst) < {ALONE_LOSSES}
       OR id = (SELECT id FROM worst ORDER BY losses DESC, id LIMIT 1)
)
{_BEGIN} {_RETURNED}
"""  # noqa: S608 -- constants of this module


_FACTS = "SELECT id, lane, kind, endpoint, api_key_id, policy, on_budget FROM jobs_job WHERE id = ANY(%s)"

# A run that begins there goes on from what an earlier one has left.
_WITH_DRAFT = (Stage.REPAIR, Stage.TOOLS)
# The last item claimed of a job: when it was ready, and its id.
Mark = tuple[datetime, UUID]
_NO_BOUNDS = ModelBounds()
_NO_MARKS: Mapping[UUID, Mark] = MappingProxyType({})
_NO_AMOUNTS: Mapping[UUID, Decimal] = MappingProxyType({})
_NO_QUOTES = Quoter()


@dataclass(frozen=True, slots=True)
class _JobFacts:
    lane: str
    kind: str
    endpoint: str
    api_key_id: UUID | None
    policy: AnswerPolicy
    on_budget: str

    @classmethod
    def of(cls, row: Sequence[Any]) -> "_JobFacts":
        lane, kind, endpoint, api_key_id, policy, on_budget = row
        return cls(lane, kind, endpoint, api_key_id, parse_policy(policy), on_budget)


def ready_lanes(lanes: Sequence[str]) -> list[str]:
    """Those of `lanes` in which an ordinary item could be claimed now."""
    with server_cursor() as cursor:
        cursor.execute(_READY_LANES, (list(lanes),))
        return [row[0] for row in cursor]


def claim_items(
    *,
    pump_id: UUID,
    lanes: Sequence[str],
    room: int,
    batch_room: int,
    turn: int,
    marks: Mapping[UUID, Mark] = _NO_MARKS,
    bounds: ModelBounds = _NO_BOUNDS,
    quoter: Quoter = _NO_QUOTES,
    amounts: Mapping[UUID, Decimal] = _NO_AMOUNTS,
) -> list[ClaimedItem]:
    """Begin runs of at most `room` ready items, shared fairly; `batch_room` bounds batches in the interactive lane.

    `marks` holds, for jobs, the last item that was claimed of each: what lies before it is not looked at. An item that another pump
    had locked and gave back can lie there, so the caller forgets its marks every few seconds. `amounts` is what an item of each job
    was last reserved at: it keeps a claim near a cap from taking items that have to be given back.
    """
    marked = _looked_at(marks, bounds)
    held: Sequence[Hold] = ()
    with transaction.atomic(), server_cursor() as cursor:
        begin_short(cursor)
        cursor.execute(_CANDIDATES, {"lanes": list(lanes), **marked})
        found = cursor.fetchall()
        jobs = {row[0]: _JobFacts.of(row[2:8]) for row in found}
        subjects = {row[0]: Subject(row[1], row[0], row[5]) for row in found}
        purses = open_purses_of_jobs(subjects.values())
        candidates = _candidates(found, batch_room, bounds)
        models = {row[0]: row[8] for row in found}
        taken_of: Counter[str] = Counter()
        rows: list[tuple[Any, ...]] = []
        for round_ in range(_ROUNDS):
            if not candidates or len(rows) >= room:
                break
            quotas = share_room(candidates, room - len(rows), turn=turn + round_)
            quotas = purses.bound(bounds.bound(candidates, quotas, taken_of, turn=turn + round_), subjects, amounts)
            taken = _take(cursor, pump_id, quotas, marked | {"job_lanes": [jobs[job_id].lane for job_id in quotas]})
            rows += taken
            counts = Counter(row[2] for row in taken)
            for job_id, count in counts.items():
                taken_of[models[job_id]] += count
            candidates = _with_more(candidates, counts, quotas)
        shared = share_inputs(cursor, _begun(rows, jobs))
        if purses:
            claimed, held = reserve_items(_with_requests(rows, jobs, shared), purses, quoter, waits=_waits(jobs))
        failpoint("claim.before_commit")
    failpoint("claim.after_commit")
    hold_jobs(held)
    return claimed if purses else _with_requests(rows, jobs, shared)


def claim_suspects(*, pump_id: UUID, lanes: Sequence[str], quoter: Quoter = _NO_QUOTES) -> list[ClaimedItem]:
    """Begin runs of items whose earlier claims were lost: at most 8 together, or the worst one alone."""
    with transaction.atomic(), server_cursor() as cursor:
        cursor.execute(
            _CLAIM_SUSPECTS,
            {
                "lanes": list(lanes),
                "pump_id": pump_id,
                "lease": settings.JOBS_LEASE_SECONDS,
                "run_ids": [uuid7() for _ in range(SUSPECTS_AT_ONCE)],
            },
        )
        rows = cursor.fetchall()
        cursor.execute(_FACTS, ([row[2] for row in rows],))
        jobs = {job_id: _JobFacts.of(facts) for job_id, *facts in cursor}
        claimed = _with_requests(rows, jobs, share_inputs(cursor, _begun(rows, jobs)))
        held: Sequence[Hold] = ()
        if purses := open_purses_of_jobs(item.subject for item in claimed):
            claimed, held = reserve_items(claimed, purses, quoter, waits=_waits(jobs))
    hold_jobs(held)
    return claimed


def _waits(jobs: Mapping[UUID, _JobFacts]) -> set[UUID]:
    """The jobs that wait for a budget that is used up; what the others have dies of it."""
    return {job_id for job_id, job in jobs.items() if job.on_budget == "wait"}


def _looked_at(marks: Mapping[UUID, Mark], bounds: ModelBounds) -> dict[str, Any]:
    return {
        "marked": list(marks),
        "marked_at": [ready_at for ready_at, _ in marks.values()],
        "marked_ids": [item_id for _, item_id in marks.values()],
        "blocked_ids": list(bounds.blocked_ids),
        "blocked_names": bounds.blocked_names,
    }


def _candidates(found: Sequence[tuple[Any, ...]], batch_room: int, bounds: ModelBounds) -> list[Candidate]:
    """Batches in the interactive lane share `batch_room`; the others may take all there is.

    While a first model is blocked, what waits for the model after it goes on.
    """
    blocked = set(bounds.blocked_names)
    batches = sum(lane == "interactive" and kind != "single" for _, _, lane, kind, *_ in found)
    share = -(-batch_room // batches) if batches else 0
    return [
        Candidate(
            job_id=job_id,
            workspace_id=workspace_id,
            lane=lane,
            limit=share if lane == "interactive" and kind != "single" else None,
            model_name="" if model_name in blocked else model_name,
        )
        for job_id, workspace_id, lane, kind, *_, model_name in found
    ]


def _with_more(candidates: Sequence[Candidate], counts: Mapping[UUID, int], quotas: Mapping[UUID, int]) -> list[Candidate]:
    """Who filled its quota may have more; who did not is out of ready items."""
    return [one for one in candidates if one.limit is None and counts.get(one.job_id, 0) >= quotas.get(one.job_id, 0)]


def _take(cursor: Any, pump_id: UUID, quotas: dict[UUID, int], marked: dict[str, Any]) -> list[tuple[Any, ...]]:
    if not quotas:
        return []
    cursor.execute(
        _CLAIM,
        {
            "job_ids": list(quotas),
            "quotas": list(quotas.values()),
            "pump_id": pump_id,
            "lease": settings.JOBS_LEASE_SECONDS,
            "run_ids": [uuid7() for _ in range(sum(quotas.values()))],
            **marked,
        },
    )
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _begun(rows: Sequence[tuple[Any, ...]], jobs: Mapping[UUID, _JobFacts]) -> list[Begun]:
    """Those of steps of recipes that have everything before them."""
    return [
        Begun(item_id=row[0], run_id=row[1], workspace_id=row[3], body_id=bytes(row[13]))
        for row in rows
        if jobs[row[2]].kind == "documents" and not row[15] and not row[16]
    ]


def _with_requests(rows: Sequence[tuple[Any, ...]], jobs: Mapping[UUID, _JobFacts], shared: Shared) -> list[ClaimedItem]:
    rows = [row for row in rows if row[0] not in shared.waiting]
    drafts = {row[0]: row[17] for row in rows if row[15] in _WITH_DRAFT and row[17] is not None}
    bodies = read_bodies([*(row[13] for row in rows), *drafts.values()]) if rows else {}
    claimed = []
    for row in rows:
        item_id, run_id, job_id, workspace_id, model_id, lane, end_user, feature, reply_to, *tries, at, body_id, ready_at = row[:15]
        job = jobs[job_id]
        claimed.append(
            ClaimedItem(
                item_id=item_id,
                run_id=run_id,
                job_id=job_id,
                workspace_id=workspace_id,
                api_key_id=job.api_key_id,
                model_id=model_id,
                kind=job.kind,
                lane=lane,
                endpoint=job.endpoint,
                end_user=end_user,
                feature=feature,
                prompt_version=row[18],
                reply_to=reply_to,
                tries=Tries(*tries),
                claimed_at=at,
                ready_at=ready_at,
                request=bodies.get(body_id),
                policy=job.policy,
                stage=Stage(row[15]) if row[15] else Stage.START,
                paid_calls=row[16],
                draft=bodies.get(drafts[item_id]) if item_id in drafts else None,
            )
        )
    return with_kept_answers(claimed, shared.answers)
