"""Ask equal inputs of steps once: claimed items take over what others were answered meanwhile, and wait for what others ask at this moment.

Which of several asks is decided by who is claimed first. It is in the air for as long as a call takes, or until its lease is over; if it
comes to nothing, the next one that is claimed asks. So nobody waits for a job that is paused, held, or without a provider.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

import psycopg

from apps.jobs.domain.ready import NOT_HELD
from apps.jobs.domain.savings import UNASKED
from apps.lib.advisory_lock import hold_until_commit
from apps.providers.domain.calls import Kept

_LEAST_SECONDS, _MOST_SECONDS = 0.5, 15.0
# Most inputs stand once: of these nothing more is looked at.
_INPUTS = """
SELECT step.item_id, step.input_hash FROM jobs_stepitem AS step
WHERE step.item_id = ANY(%(ids)b::uuid[])
  AND EXISTS (SELECT FROM jobs_stepitem AS other WHERE other.input_hash = step.input_hash AND other.item_id <> step.item_id)
  AND EXISTS (SELECT FROM jobs_job AS job WHERE job.id = step.job_id AND job.takes_over)
"""
_OTHERS = """
FROM unnest(%(hashes)b::bytea[], %(bodies)b::bytea[], %(workspaces)b::uuid[]) WITH ORDINALITY AS asked (input_hash, body_id, workspace, n)
CROSS JOIN LATERAL (SELECT item_id FROM jobs_stepitem WHERE input_hash = asked.input_hash) AS known
CROSS JOIN LATERAL (SELECT * FROM jobs_item WHERE id = known.item_id LIMIT 1) AS item
"""
_ARE_EQUAL = "item.workspace_id = asked.workspace AND item.request_body_id = asked.body_id AND item.id <> ALL(%(ids)b::uuid[])"
# One that was asked rather than one that took it over, so that it is known what was saved.
_ANSWERED = f"""
SELECT DISTINCT ON (asked.n) asked.n, item.answer_body_id, coalesce(item.status_code, 200), coalesce(origin.cost_usd, item.cost_usd),
       coalesce(origin.run_id, item.run_id)
{_OTHERS}
LEFT JOIN LATERAL (SELECT * FROM jobs_item WHERE id = item.reused_item_id LIMIT 1) AS origin ON true
WHERE {_ARE_EQUAL} AND item.state = 'done' AND EXISTS (SELECT FROM traces_body WHERE id = item.answer_body_id)
ORDER BY asked.n, item.answered_by = ANY(%(unasked)b::text[]), item.id DESC
"""  # noqa: S608 -- constants of this module
# What has paid for a part of its answer, and goes on at any moment, is as good as in the air.
_IN_THE_AIR = f"""
SELECT asked.n, coalesce(extract(epoch FROM statement_timestamp() - max(item.claimed_at))::float8, 0)
{_OTHERS}
CROSS JOIN LATERAL (SELECT * FROM jobs_job WHERE id = item.job_id LIMIT 1) AS job
WHERE {_ARE_EQUAL}
  AND (item.state = 'running' OR item.state = 'waiting' AND item.paid_calls > 0 AND job.status = 'running' AND {NOT_HELD})
GROUP BY asked.n
"""  # noqa: S608 -- constants of this module
_GIVE_BACK = """
UPDATE jobs_item AS item
SET state = 'waiting', run_id = NULL, pump_id = NULL, lease_until = NULL, claimed_at = NULL,
    not_before = statement_timestamp() + back.seconds * interval '1 second'
FROM unnest(%b::uuid[], %b::uuid[], %b::float8[]) AS back (id, run_id, seconds)
WHERE item.id = back.id AND item.run_id = back.run_id
"""


@dataclass(frozen=True, slots=True)
class Begun:
    """A claimed item that has neither been asked in part, nor has a draft."""

    item_id: UUID
    run_id: UUID
    workspace_id: UUID
    body_id: bytes


@dataclass(frozen=True, slots=True)
class Shared:
    """`answers`: what the items of these ids take over; `waiting`: those that were given back."""

    answers: dict[UUID, Kept]
    waiting: frozenset[UUID]


_NOTHING = Shared({}, frozenset())
_Input = tuple[bytes, bytes, UUID]


def share_inputs(cursor: psycopg.Cursor[tuple[Any, ...]], begun: Sequence[Begun]) -> Shared:
    """Inside the transaction that has claimed them: what is answered already, and what asks the same as another that is in the air.

    Claims of a workspace's steps pass here one by one until they are committed, so that of two at once the second sees the first.
    """
    if not begun:
        return _NOTHING
    hold_until_commit(uuid5(item.workspace_id, "inputs of steps") for item in begun)
    cursor.execute(_INPUTS, {"ids": [item.item_id for item in begun]})
    hashes = dict(cursor.fetchall())
    if not hashes:
        return _NOTHING
    equals: dict[_Input, list[Begun]] = {}
    for item in sorted(begun, key=lambda one: one.item_id):
        if item.item_id in hashes:
            equals.setdefault((hashes[item.item_id], item.body_id, item.workspace_id), []).append(item)
    kept = _find_answers(cursor, equals, begun)
    open_ = {asked: items for asked, items in equals.items() if asked not in kept}
    pauses = _find_pauses(cursor, open_, begun)
    back = [(item, pauses.get(asked, _LEAST_SECONDS)) for asked, items in open_.items() for item in items[asked not in pauses :]]
    if back:
        columns = zip(*((item.item_id, item.run_id, seconds) for item, seconds in back), strict=True)
        cursor.execute(_GIVE_BACK, [list(column) for column in columns])
    answers = {item.item_id: kept[asked] for asked, items in equals.items() if asked in kept for item in items}
    return Shared(answers, frozenset(item.item_id for item, _ in back))


def _find_answers(cursor: psycopg.Cursor[tuple[Any, ...]], equals: dict[_Input, list[Begun]], begun: Sequence[Begun]) -> dict[_Input, Kept]:
    asked = list(equals)
    cursor.execute(_ANSWERED, _values(asked, begun) | {"unasked": list(UNASKED)})
    return {asked[n - 1]: Kept(bytes(body_id), code, Decimal(cost), run_id) for n, body_id, code, cost, run_id in cursor}


def _find_pauses(cursor: psycopg.Cursor[tuple[Any, ...]], equals: dict[_Input, list[Begun]], begun: Sequence[Begun]) -> dict[_Input, float]:
    """How long to wait for what is in the air: as long again as it has been there, so that long calls are looked at a few times."""
    asked = list(equals)
    cursor.execute(_IN_THE_AIR, _values(asked, begun))
    return {asked[n - 1]: min(max(seconds, _LEAST_SECONDS), _MOST_SECONDS) for n, seconds in cursor}


def _values(asked: Sequence[_Input], begun: Sequence[Begun]) -> dict[str, Any]:
    return {
        "hashes": [input_hash for input_hash, _, _ in asked],
        "bodies": [body_id for _, body_id, _ in asked],
        "workspaces": [workspace_id for _, _, workspace_id in asked],
        "ids": [item.item_id for item in begun],
    }
