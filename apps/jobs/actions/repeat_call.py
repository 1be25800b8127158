"""A single call that is sent again: it gets the answer of the first, and is not paid for twice."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from apps.accounts.actions import remember_result
from apps.accounts.domain.idempotency import Once
from apps.accounts.queries import find_record
from apps.jobs.actions.await_item import reply_hub
from apps.jobs.actions.call_threads import in_thread, leave_to_thread
from apps.jobs.domain.call_answer import ANSWER_GONE, CallAnswer, EndedCall, answer_of
from apps.jobs.domain.lifecycle import OPEN_ITEM_STATES, ItemState
from apps.lib.http_errors import GIVE_UP, ApiError
from apps.lib.sql import server_cursor
from apps.traces.queries import read_bodies

STILL_RUNNING = CallAnswer(
    status=504,
    code="timeout",
    message="The provider has not answered in time. The call goes on and is charged when it ends; its id is in X-Item-Id.",
    should_retry=False,
)
_READ = """
SELECT state, outcome, status_code, error_code, error_message, answer_body_id, answered_by,
       ceil(extract(epoch FROM not_before - statement_timestamp()))::int4
FROM jobs_item WHERE id = %b
"""
_FIND = "SELECT item.state, job.expires_at FROM jobs_item AS item JOIN jobs_job AS job ON job.id = item.job_id WHERE item.id = %b"


@dataclass(frozen=True, slots=True)
class Repeats:
    """What is known of a call that may be a repetition.

    `item_id` answers it, within `wait_seconds`; None: nothing does yet. `in_vain` was tried for it and came to nothing.
    `unheard_in`: where in Redis the call stands until its caller has heard of it.
    """

    once: Once
    item_id: UUID | None = None
    wait_seconds: float = 0.0
    in_vain: UUID | None = None
    unheard_in: str = ""


def find_repeats(once: Once, *, now: datetime) -> Repeats:
    """Whether the call was sent before; ApiError 422 when its key came with another body then, 409 when its item has been forgotten."""
    record = find_record(once, now=now) if once.is_retry or not once.is_guess else None
    if record is None or record.result_id is None:
        return Repeats(once)
    with server_cursor() as cursor:
        cursor.execute(_FIND, (record.result_id,))
        row = cursor.fetchone()
    if row is None:
        raise ApiError(*ANSWER_GONE, headers=GIVE_UP)
    # What failed or was never sent has cost nothing: it is tried anew.
    if not (row[0] in OPEN_ITEM_STATES or row[0] == ItemState.DONE):
        return Repeats(once, in_vain=record.result_id)
    return Repeats(once, item_id=record.result_id, wait_seconds=max(1.0, (row[1] - now).total_seconds()))


async def repeat_call(*, item_id: UUID, wait_seconds: float, taken_over: Repeats | None = None, now: datetime) -> CallAnswer:
    """The answer of a call that was submitted earlier, when it has one. When this caller goes, the call goes on.

    `taken_over`: of a call that nobody else waits for. When this caller goes, too, its package may still send it again by itself.
    """
    hub = reply_hub()
    with hub.expect(item_id) as ended, hub.unheard(item_id, taken_over.unheard_in if taken_over else ""):
        try:
            found = await in_thread(read_ended, item_id)
            if found is None:
                await asyncio.wait([ended], timeout=wait_seconds)
                found = await in_thread(read_ended, item_id)
        except asyncio.CancelledError:
            if taken_over:
                leave_to_thread(remember_result, taken_over.once, result_id=item_id, in_place_of=None, now=now)
            raise
    return found or STILL_RUNNING


def read_ended(item_id: UUID) -> CallAnswer | None:
    """What the item came to; None while it is open."""
    with server_cursor() as cursor:
        cursor.execute(_READ, (item_id,))
        row = cursor.fetchone()
    if row is None or row[0] in OPEN_ITEM_STATES:
        return None
    state, outcome, status_code, error_code, error_message, answer_body_id, answered_by, seconds = row
    answer = read_bodies([answer_body_id]).get(answer_body_id) if answer_body_id else None
    return answer_of(
        EndedCall(
            state=state,
            outcome=outcome,
            status_code=status_code,
            error_code=error_code,
            error_message=error_message,
            answer=answer,
            answered_by=answered_by,
            retry_after_seconds=seconds,
        )
    )
