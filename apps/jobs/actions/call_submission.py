"""A single call on its way: submitted on a thread of its own, and what becomes of it when its caller goes."""

from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from apps.accounts.actions import remember_result
from apps.jobs.actions.await_item import ReplyHub
from apps.jobs.actions.call_threads import leave_to_thread, start_in_thread
from apps.jobs.actions.cancel_item import cancel_item
from apps.jobs.actions.close_turns import close_turns
from apps.jobs.actions.repeat_call import STILL_RUNNING, Repeats, read_ended
from apps.jobs.actions.submit_call import submit_call
from apps.jobs.domain.call_answer import CallAnswer
from apps.jobs.domain.call_request import Caller, CallRequest

_NOT_SENT = CallAnswer(
    status=504, code="not_sent_in_time", message="No worker took this call in time. It was not sent and costs nothing: try again."
)


@dataclass(frozen=True, slots=True)
class Submission:
    """One call that is being submitted; the future brings how many seconds its caller should wait, or ApiError."""

    item_id: UUID
    repeats: Repeats | None
    now: datetime
    waiting: "Future[float]"


def begin_submission(
    hub: ReplyHub, *, item_id: UUID, caller: Caller, request: CallRequest, repeats: Repeats | None, now: datetime
) -> Submission:
    """Enter the hub's `expect` first."""
    waiting = start_in_thread(
        submit_call,
        item_id=item_id,
        reply_to=hub.channel,
        caller=caller,
        request=request,
        repeats=repeats,
        now=now,
    )
    return Submission(item_id, repeats, now, waiting)


def leave(submission: Submission) -> None:
    """Its caller has gone: what is unsent is cancelled; what was sent finishes, is stored and charged."""
    leave_to_thread(_cancel, submission)


def _cancel(submission: Submission) -> None:
    # It may be under way on another thread: a cancel that came before it would cancel nothing.
    wait([submission.waiting])
    if cancel_item(item_id=submission.item_id):
        return
    repeats = submission.repeats
    if repeats and repeats.once.is_guess and submission.waiting.exception() is None:
        # It was sent, and will be paid for: should the caller's package try again by itself, this is its answer.
        remember_result(repeats.once, result_id=submission.item_id, in_place_of=None, now=submission.now)


def end_call(item_id: UUID, request: CallRequest) -> CallAnswer:
    """What it came to; the turn that it is the answer of is closed before its caller hears of it."""
    answer = _read_answer(item_id)
    if request.turn:
        close_turns(item_id=item_id)
    return answer


def _read_answer(item_id: UUID) -> CallAnswer:
    """Its time is up: what is still unsent is cancelled, what runs goes on without its caller."""
    if ended := read_ended(item_id):
        return ended
    if cancel_item(item_id=item_id):
        return _NOT_SENT
    # It may have ended between the look and the cancel.
    return read_ended(item_id) or STILL_RUNNING
