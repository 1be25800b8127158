"""What must be true of the rows, whatever was killed: each promise as a question that finds what breaks it.

They look at jobs of the last days alone: older items may have been forgotten. Another promise is another line in INVARIANTS.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.db import transaction

from apps.files.queries import FileGoneError, open_file
from apps.lib.sql import server_cursor
from apps.spend.queries import check_ledger, check_nothing_reserved
from apps.spend.queries.check_rollups import check_rollups

_EXAMPLES = 5
# The jobs that are looked at; every question below begins with them.
_RECENT = "WITH recent AS (SELECT * FROM jobs_job WHERE created_at >= %(since)s AND status NOT IN ('validating', 'failed'))"
_ITEMS = ", item AS (SELECT item.* FROM jobs_item AS item JOIN recent ON recent.id = item.job_id)"
_ENDED_WITH_FILES = """
SELECT id, output_file_id, error_file_id FROM jobs_job
WHERE created_at >= %(since)s AND kind NOT IN ('single', 'index', 'summary') AND status IN ('completed', 'expired', 'cancelled')
  AND started_at IS NOT NULL
"""
_ENDS_OF_JOB = "SELECT custom_id, state = 'done' FROM jobs_item WHERE job_id = %s"


@dataclass(frozen=True, slots=True)
class Invariant:
    """A promise, and how to find what breaks it. Those `at_rest` hold once nothing is left to do."""

    name: str
    promise: str
    find: Callable[[datetime], Iterator[str]]
    at_rest: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """How often a promise is broken, with the first examples."""

    name: str
    promise: str
    broken: int
    examples: Sequence[str]


def check_invariants(*, since: datetime, at_rest: bool = False) -> list[Finding]:
    """Ask every question about the jobs made since then; with `at_rest` also those that hold only when all work has ended."""
    return [_check(one, since) for one in INVARIANTS if at_rest or not one.at_rest]


def _check(invariant: Invariant, since: datetime) -> Finding:
    broken, examples = 0, list[str]()
    for example in invariant.find(since):
        broken += 1
        if len(examples) < _EXAMPLES:
            examples.append(example)
    return Finding(invariant.name, invariant.promise, broken, examples)


def _of_jobs(query: str) -> Callable[[datetime], Iterator[str]]:
    """What breaks a promise, by a query of one text column over `recent` jobs; it sees one moment."""

    def find(since: datetime) -> Iterator[str]:
        for (example,) in _ask(_RECENT + query, {"since": since}):
            yield str(example)

    return find


def _of_items(query: str) -> Callable[[datetime], Iterator[str]]:
    """As `_of_jobs`, with their items as `item`."""
    return _of_jobs(_ITEMS + query)


def _ask(query: str, values: Any) -> list[tuple[Any, ...]]:
    """A look at big tables may take long, and must not be cut short by the limit of a web request."""
    with transaction.atomic(), server_cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(query, values)
        return cursor.fetchall()


def _lines_not_once(since: datetime) -> Iterator[str]:
    """The output file holds the lines that are done, the error file all others: each once."""
    for job_id, output_file_id, error_file_id in _ask(_ENDED_WITH_FILES, {"since": since}):
        ends = _ask(_ENDS_OF_JOB, (job_id,))
        for name, file_id, is_done in (("output", output_file_id, True), ("error", error_file_id, False)):
            expected = Counter(custom_id for custom_id, done in ends if done == is_done)
            try:
                found = _custom_ids(file_id)
            except FileGoneError:
                continue  # somebody deleted it, or its time was over
            for custom_id in (expected - found) + (found - expected):
                yield f"job {job_id}: {custom_id!r} stands {found[custom_id]} times in the {name} file, not {expected[custom_id]}"


def _custom_ids(file_id: UUID | None) -> Counter[str]:
    if file_id is None:
        return Counter()
    with open_file(file_id) as stream:
        return Counter(orjson.loads(line)["custom_id"] for line in stream)


INVARIANTS: tuple[Invariant, ...] = (
    Invariant(
        "lines", "Every line that was accepted is one item",
        _of_items("""
            , counts AS (SELECT job_id, count(*) AS items, count(DISTINCT custom_id) AS ids, count(DISTINCT position) AS places
                                 FROM item GROUP BY job_id)
            SELECT format('job %%s: %%s lines, %%s items, %%s ids, %%s places', recent.id, total, items, ids, places)
            FROM recent LEFT JOIN counts ON counts.job_id = recent.id
            WHERE (total, total, total) IS DISTINCT FROM (coalesce(items, 0), coalesce(ids, 0), coalesce(places, 0)) AND kind <> 'single'
        """),
    ),
    Invariant(
        "states", "An item is held by one run while it runs, and by none before and after",
        _of_items("""
            SELECT format('item %%s is %%s with run %%s, pump %%s, lease %%s', id, state, run_id, pump_id, lease_until) FROM item
            WHERE CASE state WHEN 'running' THEN run_id IS NULL OR pump_id IS NULL OR lease_until IS NULL
                             WHEN 'waiting' THEN run_id IS NOT NULL OR pump_id IS NOT NULL OR lease_until IS NOT NULL
                             ELSE pump_id IS NOT NULL OR lease_until IS NOT NULL OR ended_at IS NULL END
        """),
    ),
    Invariant(
        "counters", "A job's counts and cost are those of its items",
        _of_items("""
            , sums AS (SELECT job_id, count(*) FILTER (WHERE state = 'done') AS done,
                                      count(*) FILTER (WHERE state = 'dead') AS dead, sum(cost_usd) AS cost FROM item GROUP BY job_id)
            SELECT format('job %%s: done %%s/%%s, dead %%s/%%s, cost %%s/%%s', recent.id, recent.done, sums.done, recent.dead, sums.dead,
                          recent.cost_usd, sums.cost)
            FROM recent JOIN sums ON sums.job_id = recent.id
            WHERE (recent.done, recent.dead, recent.cost_usd) IS DISTINCT FROM (sums.done, sums.dead, sums.cost)
        """),
    ),
    Invariant(
        "charges", "An item's charges are numbered without a gap, and come to its cost",
        _of_items("""
            , sums AS (SELECT charge.item_id, count(*) AS number, count(DISTINCT seq) AS seqs, max(seq) + 1 AS next,
                                      sum(charge.cost_usd) AS cost
                               FROM spend_charge AS charge JOIN recent ON recent.id = charge.job_id GROUP BY charge.item_id)
            SELECT format('item %%s: %%s charges of $%%s, %%s seqs up to %%s; it counts %%s and $%%s', coalesce(item.id, sums.item_id),
                          coalesce(number, 0), coalesce(cost, 0), seqs, next, paid_calls, cost_usd)
            FROM item FULL JOIN sums ON sums.item_id = item.id
            WHERE item.id IS NULL OR paid_calls <> coalesce(number, 0) OR cost_usd <> coalesce(cost, 0)
               OR number <> seqs OR number <> next
        """),
    ),
    Invariant(
        "answers", "A done item has an answer, one run that ended it and a charge of that run, unless the cache or an earlier job had it",
        _of_items("""
            , ends AS (SELECT run.item_id, count(*) AS number, min(run.id::text)::uuid AS run_id
                               FROM traces_run AS run JOIN item ON item.id = run.item_id WHERE run.decision = 'done' GROUP BY run.item_id)
            SELECT format('item %%s (%%s): %%s runs are its end', item.id, state, coalesce(number, 0)) FROM item
            LEFT JOIN ends ON ends.item_id = item.id
            WHERE coalesce(number, 0) <> (state = 'done' AND answered_by <> 'reuse')::int
               OR state = 'done' AND answered_by = 'reuse' AND (answer_body_id IS NULL OR reused_item_id IS NULL)
               OR state = 'done' AND answered_by <> 'reuse' AND (ends.run_id <> item.run_id OR answer_body_id IS NULL
                  OR answered_by <> 'cache' AND NOT EXISTS (
                      SELECT FROM spend_charge AS charge WHERE charge.item_id = item.id AND charge.run_id = item.run_id))
        """),
    ),
    Invariant(
        "deaths", "A dead item has a reason and stands in a group of the desk",
        _of_items("""
            SELECT format('item %%s: outcome %%s, fingerprint %%s', id, outcome, fingerprint) FROM item
            WHERE state = 'dead' AND (outcome = '' OR fingerprint = '')
        """),
    ),
    Invariant(
        "reservations", "Money is set aside for runs that hold an item, and for no other",
        _of_items("""
            SELECT format('reservation %%s of $%%s, item %%s', reservation.id, reservation.amount_usd, reservation.item_id)
            FROM spend_reservation AS reservation JOIN recent ON recent.id = reservation.job_id
            LEFT JOIN item ON item.id = reservation.item_id AND item.state = 'running' AND item.run_id = reservation.id
            WHERE item.id IS NULL AND NOT EXISTS (SELECT FROM spend_resolution WHERE reservation_id = reservation.id)
        """),
    ),
    Invariant(
        "budgets", "A budget counts what is set aside and what was spent of it",
        _of_jobs("""
            , sums AS (SELECT period_id, sum(reservation.amount_usd) FILTER (WHERE kind IS NULL) AS reserved,
                              sum(end_.amount_usd) FILTER (WHERE kind = 'charge') AS charged,
                              sum(CASE kind WHEN 'waste' THEN end_.amount_usd ELSE end_.waste_usd END) AS wasted
                       FROM spend_reservation AS reservation LEFT JOIN spend_resolution AS end_ ON end_.reservation_id = reservation.id
                       CROSS JOIN LATERAL unnest(period_ids) AS period_id WHERE reservation.created_at >= %(since)s GROUP BY period_id)
            SELECT format('budget %%s from %%s: set aside %%s/%%s, spent %%s/%%s', budget_id, starts_at, reserved_usd, reserved, spent_usd,
                          charged)
            FROM spend_budgetperiod AS period JOIN spend_budget AS budget ON budget.id = period.budget_id
            LEFT JOIN sums ON sums.period_id = period.id
            WHERE budget.created_at >= %(since)s AND (reserved_usd <> coalesce(reserved, 0)
               OR spent_usd <> coalesce(charged, 0) + CASE period.rank WHEN 0 THEN coalesce(wasted, 0) ELSE 0 END)
        """),
    ),
    Invariant(
        "ends", "A job that has ended has no open item",
        _of_items("""
            SELECT format('job %%s is %%s with %%s open items', recent.id, status, count(*))
            FROM recent JOIN item ON item.job_id = recent.id
            WHERE recent.ended_at IS NOT NULL AND item.state IN ('waiting', 'running') GROUP BY recent.id, status
        """),
    ),
    Invariant(
        "places", "Each item of a job of documents has its place, and each document that is answered an item that is done",
        _of_items("""
            SELECT format('item %%s has no place in a recipe', item.id) FROM item JOIN recent ON recent.id = item.job_id
            WHERE recent.kind = 'documents' AND NOT EXISTS (SELECT FROM jobs_stepitem WHERE item_id = item.id)
            UNION ALL
            SELECT format('document %%s is %%s with %%s, in a job that is %%s', document.id, document.state, answer_item_id, recent.status)
            FROM jobs_jobdocument AS document JOIN recent ON recent.id = document.job_id
            WHERE document.state = 'open' AND recent.ended_at IS NOT NULL OR (document.state = 'answered') <> EXISTS (
                SELECT FROM item WHERE item.id = document.answer_item_id AND item.state = 'done')
        """),
    ),
    Invariant(
        "events", "An end of a batch is told in one event",
        _of_jobs("""
            SELECT format('job %%s (%%s, revision %%s): %%s events', recent.id, status, revision, count(event.id))
            FROM recent LEFT JOIN webhooks_event AS event ON event.subject_id = recent.id AND event.occurrence = recent.revision
            WHERE kind NOT IN ('single', 'index') GROUP BY recent.id, status, revision, recent.ended_at
            HAVING count(event.id) <> (recent.ended_at IS NOT NULL)::int
        """),
    ),
    Invariant("ledger", "What a reservation was charged is what its run's charges come to", lambda since: iter(check_ledger(since=since))),
    Invariant("sums", "Sums by hour and day, with what is new, are the ledgers", lambda since: iter(check_rollups(since=since))),
    Invariant("files", "A batch's files hold each of its lines once", _lines_not_once),
    Invariant(
        "nothing open", "Every item has ended, and so has every job",
        _of_items("""
            SELECT format('job %%s is %%s, %%s items are open', recent.id, status, count(item.id))
            FROM recent LEFT JOIN item ON item.job_id = recent.id AND item.state IN ('waiting', 'running')
            GROUP BY recent.id, status, recent.ended_at HAVING recent.ended_at IS NULL OR count(item.id) > 0
        """),
        at_rest=True,
    ),
    Invariant(
        "deliveries", "No delivery waits",
        _of_jobs("""
            SELECT format('delivery %%s is %%s', delivery.id, delivery.state) FROM recent
            JOIN webhooks_event AS event ON event.subject_id = recent.id
            JOIN webhooks_delivery AS delivery ON delivery.event_id = event.id WHERE delivery.state IN ('waiting', 'sending')
        """),
        at_rest=True,
    ),
    Invariant("nothing reserved", "No money stands reserved", lambda _: iter(check_nothing_reserved()), at_rest=True),
)  # fmt: skip
