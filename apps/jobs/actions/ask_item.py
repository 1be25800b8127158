"""Ask for one item: from the cache, from whoever asks the same at this moment, or by its policy."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import aiohttp

from apps.jobs.actions.answer_with_tools import ToolStep, answer_with_tools
from apps.jobs.actions.compose import compose_call
from apps.jobs.actions.find_tools import find_tools
from apps.jobs.actions.tell_chunks import ChunkTeller
from apps.jobs.actions.tool_threads import ToolThreads
from apps.jobs.domain.claimed import ClaimedItem
from apps.jobs.domain.savings import CACHE
from apps.jobs.domain.step_teller import StepTeller
from apps.jobs.domain.tool_wish import ToolWishRefusedError, stored_tools
from apps.providers.actions import Gate, SharedAnswers, answer_by_policy, complete
from apps.providers.domain.calls import Call, Completion, Course, good_calls
from apps.providers.domain.catalogue import Catalogue
from apps.providers.domain.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class Means:
    """What a pump asks with; the catalogue is the one that holds for the item."""

    session: aiohttp.ClientSession
    gate: Gate
    clock: Callable[[], datetime]
    shared: SharedAnswers
    chunks: ChunkTeller
    tools: ToolThreads


async def ask_item(item: ClaimedItem, means: Means, *, catalogue: Catalogue) -> Completion:
    """What the item's run comes to."""
    call = compose_call(item)
    if isinstance(call, Completion):
        return call
    if item.kept is not None:
        return Completion(outcome=Outcome.OK, status_code=item.kept.status_code, course=Course(answered_by=CACHE, kept=item.kept))
    if item.answer_key is None:
        return await _ask(item, call, means, catalogue)
    return await _ask_once(item, item.answer_key, call, means, catalogue)


async def _ask_once(item: ClaimedItem, key: bytes, call: Call, means: Means, catalogue: Catalogue) -> Completion:
    """The same question in the air already: its answer is ours as well. If that fails we ask, whoever else does."""
    if (other := means.shared.find(key)) is not None:
        completion = await other.wait()
        if completion is None:
            return await _ask(item, call, means, catalogue)
        course = Course(answered_by=CACHE, spared=good_calls(completion, item.model_id), shared_run_id=other.run_id)
        return Completion(outcome=Outcome.OK, answer=completion.answer, status_code=completion.status_code, course=course)
    async with means.shared.asking(key, item.run_id) as asked:
        asked.completion = await _ask(item, call, means, catalogue)
        return asked.completion


async def _ask(item: ClaimedItem, call: Call, means: Means, catalogue: Catalogue) -> Completion:
    ask = partial(complete, session=means.session, catalogue=catalogue, clock=means.clock, gate=means.gate)
    try:
        wish = stored_tools(call.body, find_tools)
    except ToolWishRefusedError as refused:
        # Taken when there was such a tool.
        return Completion(outcome=Outcome.REJECTED, error_code="tool_not_found", error_message=refused.message)
    if wish is not None:
        return await _ask_with_tools(call, ToolStep(item, wish, means.tools), ask, means)
    if call.is_streamed:
        async with means.chunks.of(item) as tell:
            completion = await ask(call, tell=tell)
            if completion.outcome is Outcome.OK:
                tell(b"")
            return completion
    if not item.policy.is_steered:
        return await ask(call)
    return await answer_by_policy(call, item.policy, ask=ask, catalogue=catalogue, stage=item.stage, draft=item.draft)


async def _ask_with_tools(call: Call, step: ToolStep, ask: Callable[..., Awaitable[Completion]], means: Means) -> Completion:
    if not call.is_streamed:
        return await answer_with_tools(call, step, ask=ask)
    course = step.course
    async with means.chunks.of(step.item) as tell:
        teller = StepTeller(tell, said=course.text, head=course.head, behind=course.last_id)
        return await answer_with_tools(call, replace(step, teller=teller), ask=partial(ask, tell=teller))
