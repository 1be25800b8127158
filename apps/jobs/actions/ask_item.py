"""Ask for one item: from the cache, from whoever asks the same at this moment, or by its policy."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import aiohttp

from apps.jobs.actions.compose import compose_call
from apps.jobs.actions.tell_chunks import ChunkTeller
from apps.jobs.domain.claimed import ClaimedItem
from apps.jobs.domain.savings import CACHE
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
    if call.is_streamed:
        async with means.chunks.of(item) as tell:
            completion = await ask(call, tell=tell)
            if completion.outcome is Outcome.OK:
                tell(b"")
            return completion
    if not item.policy.is_steered:
        return await ask(call)
    return await answer_by_policy(call, item.policy, ask=ask, catalogue=catalogue, stage=item.stage, draft=item.draft)
