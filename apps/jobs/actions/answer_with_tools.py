"""One step of an item that may call tools: run what the last answer asked for, ask again, and say whether that is the end.

Each step is a run of its own, whose end keeps what was said: what has been paid for is not asked again, whatever is killed in between.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
import structlog

from apps.jobs.actions.run_tool import ItemLostError, ToolOrder
from apps.jobs.actions.tool_threads import ToolThreads
from apps.jobs.domain.claimed import ClaimedItem
from apps.jobs.domain.step_teller import StepTeller
from apps.jobs.domain.tool_course import ToolCourse, called_name, load_course, read_answer, read_arguments, tool_calls
from apps.jobs.domain.tool_wish import MOST_CALLS, MOST_STEPS, ToolWish
from apps.lib.background import INFRASTRUCTURE_ERRORS
from apps.providers.domain.calls import Call, Completion, Course, Stage, good_calls
from apps.providers.domain.outcomes import Outcome

log = structlog.get_logger(__name__)

Ask = Callable[[Call], Awaitable[Completion]]
_NOT_RUN: tuple[type[Exception], ...] = (*INFRASTRUCTURE_ERRORS, ItemLostError)
_OWN = "This function belongs to the caller, and was asked for together with a tool of the platform. Ask for it again, by itself."
_TOO_MANY = f"One answer may ask for {MOST_CALLS} tools; this one was not run."


@dataclass(frozen=True, slots=True)
class ToolStep:
    """What a step is made with. `teller` takes what a streamed answer says."""

    item: ClaimedItem
    wish: ToolWish
    threads: ToolThreads
    teller: StepTeller | None = None

    @property
    def course(self) -> ToolCourse:
        """Without what earlier runs have left (it has expired) the model is asked anew."""
        return (load_course(self.item.draft) if self.item.stage is Stage.TOOLS else None) or ToolCourse()


async def answer_with_tools(call: Call, step: ToolStep, *, ask: Ask) -> Completion:
    """The final answer, or one that asks for tools, with the course that the next run goes on with."""
    course = step.course
    try:
        results = [await _result(step, course, place) for place in range(len(course.calls))]
    except _NOT_RUN as error:
        log.warning("tools_not_run", item_id=str(step.item.item_id), error=str(error))
        return Completion(
            outcome=Outcome.NOT_SENT, error_code="tools_not_run", error_message="The platform could not run a tool; it is tried again.",
            is_ours=True,
        )  # fmt: skip
    answered = course.answered(results) if course.calls else course
    body = step.wish.written(answered.messages, steps=course.steps)
    completion = await ask(replace(call, body=body))
    if completion.outcome is not Outcome.OK:
        return completion
    answer = read_answer(completion.answer)
    if answer is None:
        return completion
    paid = good_calls(completion, call.model_id)
    own = [called_name(one) in step.wish.own for one in tool_calls(answer)]
    if all(own) or course.steps >= MOST_STEPS:
        final = answered.final(answer, has_calls=all(own))
        if step.teller:
            step.teller.end(final, has_usage=call.is_usage_told)
        return replace(completion, answer=orjson.dumps(final))
    last_id = step.teller.last_id if step.teller else ""
    gone_on = answered.gone_on(answer, seq=step.item.paid_calls, last_id=last_id)
    return replace(completion, course=Course(paid=paid, stage=Stage.TOOLS, draft=gone_on.dump(), goes_on=True))


async def _result(step: ToolStep, course: ToolCourse, place: int) -> bytes:
    """In the order of the answer: a model may ask for a write after what it reads."""
    order = _order(step, course, place, course.calls[place])
    if order is None:
        return orjson.dumps({"error": _OWN})
    return (await step.threads.run(order)).result


def _order(step: ToolStep, course: ToolCourse, place: int, call: Mapping[str, Any]) -> ToolOrder | None:
    """None for a function of the caller's, which isn't ours to run."""
    name = called_name(call)
    if name in step.wish.own:
        return None
    text, arguments = read_arguments(call)
    return ToolOrder(
        item=step.item,
        seq=course.seq,
        place=place,
        name=name,
        text=text,
        arguments=arguments,
        use=step.wish.uses.get(name),
        refusal="" if place < MOST_CALLS else _TOO_MANY,
    )
