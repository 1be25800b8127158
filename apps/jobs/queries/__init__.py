"""Read work: a caller's jobs, and the results of their items."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote
from uuid import UUID

import redis
import structlog
from django.db.models import Count, QuerySet, Sum
from django.db.models.functions import Now

from apps.jobs.domain.lifecycle import ItemState, Lane
from apps.jobs.domain.ready import FIRST_READY
from apps.jobs.domain.result_lines import EndedItem, result_line
from apps.jobs.domain.samples import SAMPLES_KEY, Sample, read_samples
from apps.jobs.domain.savings import UNASKED
from apps.jobs.models import BATCH_PREFIX, ITEM_PREFIX, Item, Job, Pump
from apps.lib.http_errors import ApiError
from apps.lib.ids import parse_public_id
from apps.lib.large_tables import AtLeast
from apps.lib.redis_client import read_figures, redis_client
from apps.lib.sql import server_cursor
from apps.providers.queries import find_provider_name, provider_names
from apps.spend.queries import find_served_by, list_served_by
from apps.traces.queries import read_bodies, read_body_sizes

log = structlog.get_logger(__name__)

COUNTERS_KEY = "aiplatform:counters"
SUCCEEDED = (ItemState.DONE,)
FAILED = (ItemState.DEAD, ItemState.CANCELLED, ItemState.EXPIRED)
_PAGE_ITEMS = 500
_PAGE_BYTES = 8 << 20
_PAGE = """
SELECT id, custom_id, state, run_id, status_code, error_code, error_message, answer_body_id, answered_by, reused_item_id FROM jobs_item
WHERE job_id = %b AND id > %b AND state = ANY(%b::text[]) ORDER BY id LIMIT %b
"""


def batches_of(workspace_id: UUID) -> QuerySet[Job]:
    """The batches that callers of this workspace see."""
    return Job.objects.filter(workspace_id=workspace_id, kind="batch")


def count_open_jobs(workspace_id: UUID) -> int:
    """Jobs of a workspace that have not ended, single calls included."""
    return Job.objects.filter(workspace_id=workspace_id, ended_at=None).count()


def find_batch(*, workspace_id: UUID, public_id: str) -> Job:
    """The caller's batch; ApiError 404 when there is none, told no differently for another workspace's."""
    job_id = parse_public_id(BATCH_PREFIX, public_id)
    job = batches_of(workspace_id).filter(id=job_id).first() if job_id else None
    if job is None:
        raise no_such_batch(public_id)
    return job


def read_served_by(item_id: UUID) -> str:
    """Who gave a call's answer, as `provider/model` for a header; empty when no answer of a provider was charged."""
    found = find_served_by(item_id=item_id)
    name = find_provider_name(found[0]) if found else None
    return quote(f"{name}/{found[1]}", safe="/ .:_-") if found and name else ""


def read_servers(item_ids: Sequence[UUID], names: Mapping[UUID, str]) -> dict[UUID, str]:
    """Who gave each item's last answer that was charged, as `provider/model`; providers that are gone are left out."""
    found = list_served_by(item_ids) if item_ids else {}
    return {item_id: f"{names[one]}/{upstream}" for item_id, (one, upstream) in found.items() if one in names}


def read_item_servers(items: Sequence[Item]) -> dict[UUID, str]:
    """Who gave the answers of those of these items that have one of their own, by id."""
    asked = [item.id for item in items if item.state == ItemState.DONE and item.answered_by not in UNASKED]
    return read_servers(asked, provider_names() if asked else {})


def jobs_of(workspace_id: UUID) -> QuerySet[Job]:
    """The jobs that callers of this workspace see in the native API: of every kind."""
    return Job.objects.filter(workspace_id=workspace_id)


def find_job(*, workspace_id: UUID, public_id: str) -> Job:
    """The caller's job of any kind; ApiError 404 when there is none, told no differently for another workspace's."""
    job_id = parse_public_id(BATCH_PREFIX, public_id)
    job = jobs_of(workspace_id).filter(id=job_id).first() if job_id else None
    if job is None:
        raise ApiError(404, "not_found", f"No such job: {public_id[:100]!r}.")
    return job


def find_item(*, workspace_id: UUID, public_id: str) -> Item:
    """The caller's item; ApiError 404 when there is none, told no differently for another workspace's."""
    item_id = parse_public_id(ITEM_PREFIX, public_id)
    item = Item.objects.filter(id=item_id, workspace_id=workspace_id).first() if item_id else None
    if item is None:
        raise ApiError(404, "not_found", f"No such item: {public_id[:100]!r}.")
    return item


def no_such_batch(public_id: str) -> ApiError:
    """The refusal for an id that the caller has no batch for."""
    return ApiError(404, "not_found", f"No such batch: {public_id[:100]!r}.")


def has_items(job_id: UUID, states: Sequence[ItemState]) -> bool:
    """True when the job has an item in one of `states`."""
    with server_cursor() as cursor:
        cursor.execute("SELECT 1 FROM jobs_item WHERE job_id = %b AND state = ANY(%b::text[]) LIMIT 1", (job_id, list(states)))
        return cursor.fetchone() is not None


def result_chunks(
    job_id: UUID, *, states: Sequence[ItemState] = SUCCEEDED + FAILED, after: UUID | None = None, limit: int | None = None
) -> Iterator[bytes]:
    """The result lines of ended items in the order of their input lines, some at a time; never all in memory.

    No transaction is kept open between the pages, so a slow reader holds nothing up.
    """
    last, names = after or UUID(int=0), provider_names()
    left = limit
    while left is None or left > 0:
        with server_cursor() as cursor:
            cursor.execute(_PAGE, (job_id, last, list(states), min(_PAGE_ITEMS, left or _PAGE_ITEMS)))
            rows = cursor.fetchall()
        if not rows:
            return
        for group in _by_size(rows):
            yield _lines(group, names)
        last = rows[-1][0]
        left = None if left is None else left - len(rows)


def _by_size(rows: Sequence[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    """Cut a page so that no group's answers come to more than 8 MB (a single one may)."""
    sizes = read_body_sizes([row[7] for row in rows if row[7] is not None])
    group: list[tuple[Any, ...]] = []
    total = 0
    for row in rows:
        size = sizes.get(row[7], 0)
        if group and total + size > _PAGE_BYTES:
            yield group
            group, total = [], 0
        group.append(row)
        total += size
    yield group


def _lines(rows: Sequence[tuple[Any, ...]], names: Mapping[UUID, str]) -> bytes:
    answers = read_bodies([row[7] for row in rows if row[7] is not None])
    servers = read_servers([row[0] for row in rows if row[2] == ItemState.DONE and row[8] not in UNASKED], names)
    return b"".join(
        result_line(
            EndedItem(
                item_id=row[0], custom_id=row[1], state=row[2], run_id=row[3], status_code=row[4], error_code=row[5],
                error_message=row[6], answer=answers.get(row[7]), answered_by=row[8],
                served_by=servers.get(row[0], ""), reused_item_id=row[9],
            )
        )
        for row in rows
    )  # fmt: skip


_ROWS = """
SELECT id, position, custom_id, state, error_code, error_message, input_tokens, output_tokens, cost_usd, answer_body_id FROM jobs_item
WHERE job_id = %b AND id > %b ORDER BY id LIMIT %b
"""
_ROW_NAMES = ("id", "position", "custom_id", "state", "error_code", "error_message", "input_tokens", "output_tokens", "cost_usd")


def list_result_rows(job_id: UUID) -> Iterator[dict[str, Any]]:
    """Every item of the job in the order of its lines, with `answer` (bytes, None without one); read in pages."""
    last = UUID(int=0)
    while True:
        with server_cursor() as cursor:
            cursor.execute(_ROWS, (job_id, last, _PAGE_ITEMS))
            page = cursor.fetchall()
        if not page:
            return
        # The answer's id stands where a page of result lines has it, so that both are cut by size alike.
        for group in _by_size([(*row[:7], row[9], row) for row in page]):
            answers = read_bodies([entry[7] for entry in group if entry[7] is not None])
            for entry in group:
                yield dict(zip(_ROW_NAMES, entry[8], strict=False)) | {"answer": answers.get(entry[7])}
        last = page[-1][0]


def read_counters() -> dict[str, float]:
    """The running counters that settle keeps in Redis, by name (`outcome:ok`, `tokens:input`, `cost_usd`, ...)."""
    return read_figures(COUNTERS_KEY)


def has_renewed_pump(worker_set: str, *, within: timedelta) -> bool:
    """True when a pump of the worker set said within that time that it lives."""
    return Pump.objects.filter(worker_set=worker_set, ended_at=None, renewed_at__gt=Now() - within).exists()


def list_live_pumps() -> "QuerySet[Pump]":
    """The pumps that have not ended, as they last said they stand."""
    return Pump.objects.filter(ended_at=None).order_by("worker_set", "started_at")


def count_jobs_by_status() -> dict[str, int]:
    """Open jobs only: ended ones are history, and there are many."""
    return dict(Job.objects.filter(ended_at=None).values_list("status").annotate(number=Count("id")))


def sum_open_work(*, workspace_ids: Sequence[UUID] | None) -> dict[str, int]:
    """Over open jobs: how many jobs, items not ended and items dead; and dead items of jobs that ended in the last day."""
    jobs = _in_workspaces(workspace_ids)
    sums = jobs.filter(ended_at=None).aggregate(jobs=Count("id"), total=Sum("total"), done=Sum("done"), dead=Sum("dead"))
    counts = {name: value or 0 for name, value in sums.items()}
    lately = jobs.filter(ended_at__gt=Now() - timedelta(days=1)).aggregate(dead=Sum("dead"))["dead"] or 0
    return {"jobs": counts["jobs"], "open": max(0, counts["total"] - counts["done"] - counts["dead"]), "dead": counts["dead"] + lately}


def list_recent_jobs(*, workspace_ids: Sequence[UUID] | None) -> list[Job]:
    """The newest batches, for the home page."""
    rows = _in_workspaces(workspace_ids).exclude(kind="single").select_related("workspace", "input_file", "table_file", "recipe")
    return list(rows.order_by("-pk")[:10])


def _in_workspaces(workspace_ids: Sequence[UUID] | None) -> "QuerySet[Job]":
    return Job.objects.all() if workspace_ids is None else Job.objects.filter(workspace_id__in=workspace_ids)


# So many dead items are grouped at most, and so many groups shown: a job of a million refusals still answers at once.
MOST_GROUPED = 20_000
_MOST_GROUPS = 20
_ERRORS = """
SELECT outcome, error_code, message, count(*)
FROM (SELECT outcome, error_code, left(error_message, 200) AS message FROM jobs_item WHERE job_id = %b AND state = 'dead' LIMIT %b) AS dead
GROUP BY outcome, error_code, message ORDER BY count(*) DESC, error_code, message LIMIT %b
"""


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Dead items that died of the same."""

    outcome: str
    code: str
    message: str
    items: int


def group_errors(job_id: UUID) -> list[ErrorGroup]:
    """What a job's dead items died of, the most frequent first; of at most MOST_GROUPED items."""
    with server_cursor() as cursor:
        cursor.execute(_ERRORS, (job_id, MOST_GROUPED, _MOST_GROUPS))
        return [ErrorGroup(*row) for row in cursor]


def count_running(job_id: UUID) -> int:
    """How many of a job's items are in the air; there is an index of those alone."""
    return Item.objects.filter(job_id=job_id, state=ItemState.RUNNING).count()


def read_course(job: Job, *, now: datetime) -> list[Sample]:
    """A job's counts over time, oldest first: from its start, as they were sampled, to now (or its end)."""
    if job.started_at is None:
        return []
    try:
        texts = [str(text) for text in redis_client().lrange(SAMPLES_KEY.format(job_id=job.id), 0, -1)]
    except redis.RedisError as error:
        log.warning("course_not_read", error=str(error))
        texts = []
    began, until = job.started_at.timestamp(), (job.ended_at or now).timestamp()
    between = [sample for sample in read_samples(texts) if began < sample.at < until]
    return [Sample(began, 0, 0), *between, Sample(until, job.done, job.dead)]


_LANES = f"""
SELECT job.lane, count(*)::int, coalesce(sum(greatest(job.total - job.done - job.dead, 0)), 0)::int, coalesce(sum(air.items), 0)::int,
       extract(epoch FROM statement_timestamp() - min(first.not_before))::float8
FROM jobs_job AS job
LEFT JOIN (SELECT job_id, count(*) AS items FROM jobs_item WHERE state = 'running' GROUP BY job_id) AS air ON air.job_id = job.id
LEFT JOIN LATERAL ({FIRST_READY}) AS first ON true
WHERE job.ended_at IS NULL AND (%b::uuid[] IS NULL OR job.workspace_id = ANY(%b::uuid[]))
GROUP BY job.lane
"""  # noqa: S608 -- a constant
_DEAD = """
SELECT count(*) FROM (
    SELECT FROM jobs_item
    WHERE state = 'dead' AND ended_at >= %b AND (%b::uuid[] IS NULL OR workspace_id = ANY(%b::uuid[])) LIMIT %b
) AS dead
"""
_MOST_DEAD = 10_000


@dataclass(frozen=True, slots=True)
class LaneWork:
    """What a lane holds: open jobs, items that wait and that are in the air, and how long the first of the ready ones has waited."""

    lane: str
    jobs: int
    waiting: int
    running: int
    oldest_seconds: float | None


def read_lanes(*, workspace_ids: Sequence[UUID] | None) -> list[LaneWork]:
    """Every lane, from urgent to bulk. Its cost follows the open jobs and what is in the air, not the items that wait."""
    scope = None if workspace_ids is None else list(workspace_ids)
    with server_cursor() as cursor:
        cursor.execute(_LANES, (scope, scope))
        rows = {row[0]: row for row in cursor}
    lanes = []
    for lane in Lane:
        _, jobs, still_open, running, oldest = rows.get(lane.value, (lane.value, 0, 0, 0, None))
        lanes.append(LaneWork(lane.value, jobs, max(0, still_open - running), running, oldest))
    return lanes


def count_dead_since(moment: datetime, *, workspace_ids: Sequence[UUID] | None) -> int:
    """Items that died since then and are dead still; counted to 10,000 and no further."""
    scope = None if workspace_ids is None else list(workspace_ids)
    with server_cursor() as cursor:
        cursor.execute(_DEAD, (moment, scope, scope, _MOST_DEAD + 1))
        row = cursor.fetchone()
    number: int = row[0] if row else 0
    return number if number <= _MOST_DEAD else AtLeast(_MOST_DEAD)


def list_open_jobs(*, workspace_ids: Sequence[UUID] | None) -> list[Job]:
    """Batches that have not ended, for the home page; the newest ten."""
    rows = _in_workspaces(workspace_ids).filter(ended_at=None).exclude(kind="single")
    return list(rows.select_related("workspace", "input_file", "table_file", "recipe").order_by("-created_at")[:10])


_DEAD_GROUPS = """
SELECT fingerprint, max(outcome), max(error_code), (array_agg(left(error_message, 300) ORDER BY id DESC))[1], count(*),
       count(DISTINCT job_id), min(ended_at), max(ended_at), sum(cost_usd), (array_agg(id ORDER BY id DESC))[1], max(prompt_version)
FROM (
    SELECT * FROM jobs_item WHERE state = 'dead' AND discarded_at IS NULL AND (%b::uuid[] IS NULL OR workspace_id = ANY(%b::uuid[]))
      AND (%b = '' OR fingerprint = %b) LIMIT %b
) AS dead
GROUP BY fingerprint ORDER BY count(*) DESC, max(ended_at) DESC LIMIT %b
"""


@dataclass(frozen=True, slots=True)
class DeadGroup:
    """Dead items that died of the same and wait for a person; the cost is what they were charged before they died."""

    fingerprint: str
    outcome: str
    code: str
    message: str
    items: int
    jobs: int
    first_at: datetime | None
    last_at: datetime | None
    cost_usd: Decimal
    newest_id: UUID
    prompt_version: str


def list_dead_groups(*, workspace_ids: Sequence[UUID] | None, fingerprint: str = "") -> list[DeadGroup]:
    """What waits for a person, the biggest group first; of at most MOST_GROUPED items."""
    scope = None if workspace_ids is None else list(workspace_ids)
    with server_cursor() as cursor:
        cursor.execute(_DEAD_GROUPS, (scope, scope, fingerprint, fingerprint, MOST_GROUPED, 100))
        return [DeadGroup(*row) for row in cursor]
