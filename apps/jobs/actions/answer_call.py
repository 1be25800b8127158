"""Answer a single call: submit it, wait for its end, read what it came to."""

import asyncio
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from apps.jobs.actions.await_item import reply_hub
from apps.jobs.actions.call_threads import in_thread, leave_to_thread, start_in_thread
from apps.jobs.actions.cancel_item import cancel_item
from apps.jobs.actions.submit_call import submit_call
from apps.jobs.domain.call_answer import CallAnswer, EndedCall, answer_of
from apps.jobs.domain.call_request import CallRequest
from apps.jobs.domain.lifecycle import OPEN_ITEM_STATES
from apps.lib.sql import server_cursor
from apps.traces.queries import read_bodies

_READ = "SELECT state, outcome, status_code, error_code, error_message, answer_body_id FROM jobs_item WHERE id = %b"
_NOT_SENT = CallAnswer(
    status=504, code="not_sent_in_time", message="No worker took this call in time. It was not sent and costs nothing: try again."
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and pays."""

    workspace_id: UUID
    api_key_id: UUID


async def answer_call(*, item_id: UUID, caller: Caller, request: CallRequest, now: datetime) -> CallAnswer:
    """The answer, or the failure in its place; ApiError when the call is refused.

    When the caller goes (this is cancelled), an unsent item is cancelled; a sent one finishes, is stored and charged.
    """
    hub = reply_hub()
    with hub.expect(item_id) as ended:
        submission = start_in_thread(
            submit_call,
            item_id=item_id,
            reply_to=hub.channel,
            workspace_id=caller.workspace_id,
            api_key_id=caller.api_key_id,
            request=request,
            now=now,
        )
        try:
            wait_seconds = await asyncio.wrap_future(submission)
            # Whether the word came or the time ran out: the row decides.
            await asyncio.wait([ended], timeout=wait_seconds)
            found = await in_thread(_read_ended, item_id)
            return found if found is not None else await in_thread(_give_up, item_id)
        except asyncio.CancelledError:
            leave_to_thread(_cancel_submitted, submission, item_id)
            raise


def _read_ended(item_id: UUID) -> CallAnswer | None:
    with server_cursor() as cursor:
        cursor.execute(_READ, (item_id,))
        row = cursor.fetchone()
    if row is None or row[0] in OPEN_ITEM_STATES:
        return None
    state, outcome, status_code, error_code, error_message, answer_body_id = row
    answer = read_bodies([answer_body_id]).get(answer_body_id) if answer_body_id else None
    return answer_of(
        EndedCall(state=state, outcome=outcome, status_code=status_code, error_code=error_code, error_message=error_message, answer=answer)
    )


def _give_up(item_id: UUID) -> CallAnswer:
    if cancel_item(item_id=item_id):
        return _NOT_SENT
    # It may have ended between the look and the cancel.
    return _read_ended(item_id) or CallAnswer(
        status=504,
        code="timeout",
        message="The provider has not answered in time. The call goes on and is charged when it ends; its id is in X-Item-Id.",
        should_retry=False,
    )


def _cancel_submitted(submission: "Future[float]", item_id: UUID) -> None:
    # The submission may be under way on another thread: a cancel that came before it would cancel nothing.
    wait([submission])
    cancel_item(item_id=item_id)
