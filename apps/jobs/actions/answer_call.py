"""Answer a single call: submit it, wait for its end, read what it came to."""

import asyncio
from concurrent.futures import Future, wait
from datetime import datetime
from uuid import UUID

from apps.accounts.actions import remember_result
from apps.jobs.actions.await_item import reply_hub
from apps.jobs.actions.call_threads import in_thread, leave_to_thread, start_in_thread
from apps.jobs.actions.cancel_item import cancel_item
from apps.jobs.actions.repeat_call import STILL_RUNNING, Repeats, read_ended
from apps.jobs.actions.submit_call import submit_call
from apps.jobs.domain.call_answer import CallAnswer
from apps.jobs.domain.call_request import Caller, CallRequest

_NOT_SENT = CallAnswer(
    status=504, code="not_sent_in_time", message="No worker took this call in time. It was not sent and costs nothing: try again."
)


async def answer_call(*, item_id: UUID, caller: Caller, request: CallRequest, repeats: Repeats | None = None, now: datetime) -> CallAnswer:
    """The answer, or the failure in its place; ApiError when the call is refused.

    When the caller goes (this is cancelled), an unsent item is cancelled; a sent one finishes, is stored and charged.
    """
    hub = reply_hub()
    with hub.expect(item_id) as ended:
        submission = start_in_thread(
            submit_call,
            item_id=item_id,
            reply_to=hub.channel,
            caller=caller,
            request=request,
            repeats=repeats,
            now=now,
        )
        try:
            wait_seconds = await asyncio.wrap_future(submission)
            # Whether the word came or the time ran out: the row decides.
            await asyncio.wait([ended], timeout=wait_seconds)
            found = await in_thread(read_ended, item_id)
            return found if found is not None else await in_thread(_give_up, item_id)
        except asyncio.CancelledError:
            leave_to_thread(_cancel_submitted, submission, item_id, repeats, now)
            raise


def _give_up(item_id: UUID) -> CallAnswer:
    if cancel_item(item_id=item_id):
        return _NOT_SENT
    # It may have ended between the look and the cancel.
    return read_ended(item_id) or STILL_RUNNING


def _cancel_submitted(submission: "Future[float]", item_id: UUID, repeats: Repeats | None, now: datetime) -> None:
    # The submission may be under way on another thread: a cancel that came before it would cancel nothing.
    wait([submission])
    if not cancel_item(item_id=item_id) and repeats and repeats.once.is_guess and submission.exception() is None:
        # It was sent, and will be paid for: should the caller's package try again by itself, this is its answer.
        remember_result(repeats.once, result_id=item_id, in_place_of=None, now=now)
