"""Answer by policy: a cheaper model first, the answer held against its contract, one repair. Each call goes through `complete`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import orjson

from apps.providers.domain.acceptance import why_not_accepted
from apps.providers.domain.calls import Call, Completion, Course, Exchange, PaidCall, Stage, good_calls
from apps.providers.domain.catalogue import Catalogue
from apps.providers.domain.contract import Contract, ContractBrokenError, ContractRefusedError, read_contract
from apps.providers.domain.outcomes import Outcome
from apps.providers.domain.policy import AnswerPolicy
from apps.providers.domain.repair import repair_body
from apps.providers.domain.said import read_said

Ask = Callable[[Call], Awaitable[Completion]]
FIRST_MODEL, MODEL, REPAIR = "first_model", "model", "repair"
_NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class _Order:
    """One call under its policy, with what its request says."""

    call: Call
    policy: AnswerPolicy
    body: dict[str, Any]
    contract: Contract | None
    model_id: UUID
    first_model_id: UUID | None


async def answer_by_policy(
    call: Call, policy: AnswerPolicy, *, ask: Ask, catalogue: Catalogue, stage: Stage = Stage.START, draft: bytes | None = None
) -> Completion:
    """What the policy comes to, with all its exchanges and good answers. `stage` and `draft` are what an earlier run has left.

    Only what the first model answers badly, or can't answer, goes to the model itself; for a limit of the first one the item waits.
    """
    try:
        order = _order(call, policy, catalogue)
    except ContractRefusedError as refused:
        return Completion(outcome=Outcome.REJECTED, error_code="invalid_contract", error_message=refused.message)
    # A draft that has expired can't be repaired: the model is asked anew.
    course = Course(stage=Stage.MODEL if stage is Stage.REPAIR and draft is None else stage)
    earlier: tuple[Exchange, ...] = ()
    if stage is Stage.START and order.first_model_id is not None:
        first = await _ask_first(order, order.first_model_id, catalogue, ask)
        if first.outcome is Outcome.THROTTLED or (first.course and first.course.is_accepted):
            return first
        course, earlier = first.course or course, first.exchanges
    if stage is Stage.REPAIR and draft is not None:
        return await _repair(order, draft, course, ask)
    return await _ask_model(order, course, earlier, ask)


def _order(call: Call, policy: AnswerPolicy, catalogue: Catalogue) -> _Order:
    body = orjson.loads(call.body)
    contract = read_contract(body, endpoint=call.endpoint) if policy.needs_contract else None
    if not policy.first_model:
        return _Order(call, policy, body, contract, call.model_id, None)
    # The item stands in line for the first model; who is asked after it is the request's own.
    model_id = catalogue.model_id(str(body.get("model"))) or _NOBODY
    first_model_id = catalogue.model_id(policy.first_model)
    # A rerun by another model may ask for the first one.
    return _Order(call, policy, body, contract, model_id, None if first_model_id == model_id else first_model_id)


async def _ask_first(order: _Order, model_id: UUID, catalogue: Catalogue, ask: Ask) -> Completion:
    """The cheaper model's completion; its course tells whether the answer is accepted."""
    routes = catalogue.routes(order.model_id)
    instead = (routes[0].provider_id, routes[0].upstream_model) if routes else None
    completion = await ask(replace(order.call, model_id=model_id))
    if completion.outcome is Outcome.THROTTLED:
        return completion
    if completion.outcome is not Outcome.OK:
        return replace(completion, course=Course(stage=Stage.MODEL, is_accepted=False, instead=instead))
    paid = _paid(completion, model_id)
    course = Course(paid=(paid,), first=paid, instead=instead)
    reason = why_not_accepted(read_said(completion.answer), order.policy.rules, order.contract)
    if reason:
        noted = _noted(completion.exchanges, f"Not accepted: {reason}.")
        return replace(completion, exchanges=noted, course=replace(course, stage=Stage.MODEL, is_accepted=False))
    return replace(completion, course=replace(course, answered_by=FIRST_MODEL, is_accepted=True))


async def _ask_model(order: _Order, course: Course, earlier: tuple[Exchange, ...], ask: Ask) -> Completion:
    """The model itself; an answer that breaks its contract is repaired."""
    completion = await ask(replace(order.call, model_id=order.model_id))
    completion = replace(completion, exchanges=(*earlier, *completion.exchanges))
    if completion.outcome is not Outcome.OK:
        return replace(completion, course=replace(course, next_model_id=order.model_id))
    course = replace(course, paid=(*course.paid, _paid(completion, order.model_id)), answered_by=MODEL if order.policy.first_model else "")
    if (reason := _why_broken(order, completion.answer)) is None:
        return replace(completion, course=course)
    if read_said(completion.answer).is_refused:
        return _buried(completion, course, reason)
    noted = _noted(completion.exchanges, f"It breaks its contract at {reason}; a repair is asked for.")
    repaired = await _repair(order, completion.answer, course, ask)
    return replace(repaired, exchanges=(*noted, *repaired.exchanges))


async def _repair(order: _Order, draft: bytes, course: Course, ask: Ask) -> Completion:
    """The one further try: the same request with the wrong answer and what is wrong with it."""
    reason = _why_broken(order, draft) or "$: the answer does not fit"
    text = "\n".join(read_said(draft).texts)
    body = orjson.dumps(repair_body(order.body, endpoint=order.call.endpoint, answer=text, reason=reason))
    completion = await ask(replace(order.call, model_id=order.model_id, body=body))
    if completion.outcome is not Outcome.OK:
        return replace(completion, course=replace(course, stage=Stage.REPAIR, draft=draft, next_model_id=order.model_id))
    course = replace(course, paid=(*course.paid, _paid(completion, order.model_id)), answered_by=REPAIR)
    if (still := _why_broken(order, completion.answer)) is not None:
        return _buried(completion, course, still)
    return replace(completion, course=course)


def _buried(completion: Completion, course: Course, reason: str) -> Completion:
    message = f"The answer breaks its contract at {reason}."
    exchanges = _noted(completion.exchanges, message)
    return replace(
        completion, outcome=Outcome.OUTPUT_CONTRACT, exchanges=exchanges, course=course, error_code="output_contract", error_message=message
    )


def _why_broken(order: _Order, answer: bytes) -> str | None:
    if order.contract is None or not order.policy.has_contract:
        return None
    try:
        order.contract.check(read_said(answer))
    except ContractBrokenError as broken:
        return str(broken)
    return None


def _noted(exchanges: tuple[Exchange, ...], note: str) -> tuple[Exchange, ...]:
    """The exchanges, with a remark on the last one."""
    return (*exchanges[:-1], replace(exchanges[-1], error=note))


def _paid(completion: Completion, model_id: UUID) -> PaidCall:
    return good_calls(replace(completion, course=None), model_id)[-1]
