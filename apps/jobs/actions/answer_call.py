"""Answer a single call: submit it, wait for its end, read what it came to."""

import asyncio
from datetime import datetime
from uuid import UUID

from apps.jobs.actions.await_item import reply_hub
from apps.jobs.actions.call_submission import begin_submission, end_call, leave
from apps.jobs.actions.call_threads import in_thread
from apps.jobs.actions.repeat_call import Repeats
from apps.jobs.domain.call_answer import CallAnswer
from apps.jobs.domain.call_request import Caller, CallRequest


async def answer_call(*, item_id: UUID, caller: Caller, request: CallRequest, repeats: Repeats | None = None, now: datetime) -> CallAnswer:
    """The answer, or the failure in its place; ApiError when the call is refused.

    When the caller goes (this is cancelled), an unsent item is cancelled; a sent one finishes, is stored and charged.
    """
    hub = reply_hub()
    with hub.expect(item_id) as ended, hub.unheard(item_id, repeats.unheard_in if repeats else ""):
        submission = begin_submission(hub, item_id=item_id, caller=caller, request=request, repeats=repeats, now=now)
        try:
            wait_seconds = await asyncio.wrap_future(submission.waiting)
            # Whether the word came or the time ran out: the row decides.
            await asyncio.wait([ended], timeout=wait_seconds)
            return await in_thread(end_call, item_id, request)
        except asyncio.CancelledError:
            leave(submission)
            raise
