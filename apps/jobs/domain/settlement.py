"""From a finished run to the rows that will stand for it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson

from apps.jobs.domain.claimed import Finished
from apps.jobs.domain.retry import Decision, NextStep, Policy, next_step
from apps.jobs.domain.savings import CACHE, Savings, savings_of, told_origin
from apps.providers.domain.calls import Course, Exchange, PaidCall, good_calls
from apps.providers.domain.dearest import most_cost_of_exchange
from apps.providers.domain.kept import NewEntry
from apps.providers.domain.outcomes import Outcome
from apps.spend.domain.charges import ChargeRecord, Ended, ResolutionKind, SavingRecord, WasteRecord
from apps.spend.domain.pricing import PriceBook, cost_of
from apps.traces.domain.bodies import NewBody, make_body
from apps.traces.domain.records import ExchangeRecord, RunRecord

_STATES = {
    Decision.DONE: "done",
    Decision.GO_ON: "waiting",
    Decision.DEAD: "dead",
    Decision.RETRY: "waiting",
    Decision.SNOOZE: "waiting",
}
_OPEN = {Decision.GO_ON, Decision.RETRY, Decision.SNOOZE}
_NOTHING = Decimal(0)
_ERROR_CODE_LENGTH = 100
_ERROR_MESSAGE_LENGTH = 2000
_PLAIN_COURSE = Course()


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is decided about one finished run, and every row that records it."""

    finished: Finished
    step: NextStep
    answer_body_id: bytes | None
    error_code: str
    error_message: str
    bodies: list[NewBody]
    run: RunRecord
    exchanges: list[ExchangeRecord]
    charges: list[ChargeRecord]
    wasted: list[WasteRecord]
    savings: Savings

    @property
    def ended(self) -> Ended | None:
        """What becomes of the money that was set aside for it."""
        if self.finished.item.reserved_usd is None:
            return None
        wasted_usd = sum((waste.amount_usd for waste in self.wasted), _NOTHING)
        if self.charges:
            return Ended(self.run.id, ResolutionKind.CHARGE, self.cost_usd, wasted_usd)
        if self.wasted:
            return Ended(self.run.id, ResolutionKind.WASTE, wasted_usd)
        return Ended(self.run.id, ResolutionKind.RELEASE)

    @property
    def decision(self) -> Decision:
        return self.step.decision

    @property
    def cost_usd(self) -> Decimal:
        return sum((charge.cost_usd for charge in self.charges), _NOTHING)

    @property
    def is_cached(self) -> bool:
        return self.finished.completion.course is not None and self.finished.completion.course.answered_by == CACHE

    def saving(self) -> SavingRecord | None:
        """What the ledger keeps of what the run did not cost; of most runs nothing."""
        if not self.savings.by_cache_usd and not self.savings.by_first_usd:
            return None
        item, charge = self.finished.item, self.charges[0] if self.charges else None
        return SavingRecord(
            id=item.run_id,
            workspace_id=item.workspace_id,
            job_id=item.job_id,
            item_id=item.item_id,
            model_id=item.model_id,
            provider_id=charge.provider_id if charge else None,
            upstream_model=charge.upstream_model if charge else "",
            api_key_id=item.api_key_id,
            end_user=item.end_user,
            feature=item.feature,
            lane=item.lane,
            by_cache_usd=self.savings.by_cache_usd,
            by_first_usd=self.savings.by_first_usd,
            created_at=self.finished.ended_at,
            prompt_version=item.prompt_version,
        )

    def new_entry(self) -> NewEntry | None:
        """What the cache keeps of it: a good answer that was asked for, when its job wants that."""
        item = self.finished.item
        if item.answer_key is None or self.decision is not Decision.DONE or self.is_cached or self.answer_body_id is None:
            return None
        return NewEntry(
            key=item.answer_key,
            workspace_id=item.workspace_id,
            answer_body_id=self.answer_body_id,
            status_code=self.finished.completion.status_code or 200,
            cost_usd=self.cost_usd,
            run_id=item.run_id,
            seconds=item.policy.cache_seconds or 0,
        )

    def item_row(self) -> tuple[Any, ...]:
        """The item's new values, in the order of settle's UPDATE."""
        item, completion = self.finished.item, self.finished.completion
        course = completion.course or _PLAIN_COURSE
        is_open = self.decision in _OPEN
        return (
            item.item_id,
            item.run_id,
            _STATES[self.decision],
            self.step.delay_seconds,
            self.finished.ended_at,
            self.step.tries.attempts,
            self.step.tries.ambiguous,
            self.step.tries.free,
            self.answer_body_id,
            completion.status_code,
            completion.outcome.value,
            self.error_code,
            self.error_message,
            sum(charge.input_tokens + charge.cached_input_tokens + charge.cache_write_tokens for charge in self.charges),
            sum(charge.output_tokens + charge.reasoning_tokens for charge in self.charges),
            self.cost_usd,
            (course.stage if completion.course else item.stage) if is_open else item.stage,
            item.paid_calls + len(self.charges),
            "" if is_open else course.answered_by,
            (course.next_model_id if is_open else course.paid[-1].model_id if course.paid else None) or item.model_id,
        )


def settle_finished(
    finished: Finished, *, pump_id: UUID, prices: PriceBook, policy: Policy, chance: float, new_id: Callable[[], UUID]
) -> Settlement:
    """Decide what follows and write out the records; touches nothing."""
    item, completion = finished.item, finished.completion
    step = _next_step(finished, policy, chance)
    bodies: list[NewBody] = []
    exchanges = [_exchange_record(new_id(), finished, exchange, bodies) for exchange in completion.exchanges]
    answer_body_id = _answer_body_id(finished, step.decision, bodies)
    error_code = plain(completion.error_code)[:_ERROR_CODE_LENGTH]
    error_message = plain(completion.error_message)[:_ERROR_MESSAGE_LENGTH]
    is_cached = completion.course is not None and completion.course.answered_by == CACHE
    run = RunRecord(
        id=item.run_id,
        workspace_id=item.workspace_id,
        job_id=item.job_id,
        item_id=item.item_id,
        pump_id=pump_id,
        attempt=item.tries.attempts + item.tries.free + 1,
        outcome="cached" if is_cached else completion.outcome.value,
        decision=step.decision.value,
        error_code=error_code,
        error_message=told_origin(completion.course) or error_message,
        claimed_at=item.claimed_at,
        ended_at=finished.ended_at,
    )
    charges = [
        _charge_record(new_id(), finished, paid, prices, seq=item.paid_calls + n)
        for n, paid in enumerate(good_calls(completion, item.model_id))
    ]
    return Settlement(
        finished=finished,
        step=step,
        answer_body_id=answer_body_id,
        error_code=error_code,
        error_message=error_message,
        bodies=bodies,
        run=run,
        exchanges=exchanges,
        charges=charges,
        wasted=_waste_records(new_id, finished, prices, charged_usd=sum((charge.cost_usd for charge in charges), _NOTHING)),
        savings=savings_of(completion.course, charges, prices),
    )


def _next_step(finished: Finished, policy: Policy, chance: float) -> NextStep:
    completion = finished.completion
    if completion.course is not None and completion.course.goes_on:
        # No attempt: what has begun before its neighbours goes on before them.
        return NextStep(Decision.GO_ON, finished.item.tries, delay_seconds=None)
    return next_step(
        completion.outcome,
        finished.item.tries,
        policy,
        chance=chance,
        retry_after_seconds=completion.retry_after_seconds,
        is_probe=completion.is_probe,
    )


def _answer_body_id(finished: Finished, decision: Decision, bodies: list[NewBody]) -> bytes | None:
    """The last exchange's own body, and a further one where what the caller gets is another; what the cache has is stored already."""
    item, completion = finished.item, finished.completion
    course = completion.course
    if course is not None and course.kept is not None:
        return course.kept.answer_body_id
    # What the next run is to repair, or to go on from.
    draft = item.draft if course is None else course.draft
    if draft and decision in _OPEN:
        bodies.append(make_body(item.workspace_id, draft))
        return bodies[-1].id
    if not completion.answer:
        return None
    if not completion.exchanges or completion.answer != completion.exchanges[-1].answer:
        bodies.append(make_body(item.workspace_id, completion.answer))
    return bodies[-1].id


def _exchange_record(exchange_id: UUID, finished: Finished, exchange: Exchange, bodies: list[NewBody]) -> ExchangeRecord:
    body_id = None
    if exchange.answer:
        body = make_body(finished.item.workspace_id, exchange.answer)
        bodies.append(body)
        body_id = body.id
    return ExchangeRecord(
        id=exchange_id,
        workspace_id=finished.item.workspace_id,
        run_id=finished.item.run_id,
        provider_id=exchange.provider_id,
        target_id=exchange.target_id,
        upstream_model=exchange.upstream_model,
        path=exchange.path,
        outcome=exchange.outcome.value,
        status_code=exchange.status_code,
        error=plain(exchange.error)[:_ERROR_MESSAGE_LENGTH],
        provider_request_id=plain(exchange.provider_request_id)[:255],
        headers=plain(orjson.dumps(exchange.headers).decode()) if exchange.headers else "{}",
        sent_at=exchange.sent_at,
        first_byte_seconds=exchange.first_byte_seconds,
        duration_seconds=exchange.duration_seconds,
        answer_body_id=body_id,
    )


def _charge_record(charge_id: UUID, finished: Finished, paid: PaidCall, prices: PriceBook, *, seq: int) -> ChargeRecord:
    item, usage = finished.item, paid.usage
    price = prices.price(paid.provider_id, paid.upstream_model, paid.sent_at)
    return ChargeRecord(
        id=charge_id,
        workspace_id=item.workspace_id,
        job_id=item.job_id,
        item_id=item.item_id,
        seq=seq,
        run_id=item.run_id,
        model_id=paid.model_id,
        provider_id=paid.provider_id,
        upstream_model=paid.upstream_model,
        price_id=price.id if price else None,
        api_key_id=item.api_key_id,
        end_user=item.end_user,
        feature=item.feature,
        lane=item.lane,
        input_tokens=usage.fresh_input_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        cache_write_tokens=usage.written_tokens,
        output_tokens=usage.said_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        usage=plain(orjson.dumps(paid.raw_usage).decode()) if paid.raw_usage is not None else None,
        parts=orjson.dumps(parts).decode() if (parts := usage.parts()) else None,
        prices=price.level(usage.total_input_tokens).json if price else None,
        cost_usd=cost_of(usage, price) if price else _NOTHING,
        created_at=finished.ended_at,
        prompt_version=item.prompt_version,
    )


def _waste_records(new_id: Callable[[], UUID], finished: Finished, prices: PriceBook, *, charged_usd: Decimal) -> list[WasteRecord]:
    """Calls that may have been billed, and brought no answer: together with the charges at most what had been set aside for the run."""
    item, records = finished.item, list[WasteRecord]()
    if finished.completion.outcome is Outcome.AMBIGUOUS and not finished.completion.exchanges:
        # The platform failed over it: what was sent, and to whom, nobody knows any more.
        return [_waste_record(new_id(), finished, None, item.reserved_usd or _NOTHING, seq=0)]
    left = None if item.reserved_usd is None else max(item.reserved_usd - charged_usd, _NOTHING)
    for seq, exchange in enumerate(finished.completion.exchanges):
        if exchange.outcome is Outcome.AMBIGUOUS:
            amount = _most_cost(finished, exchange, prices)
            if left is not None:
                amount = min(amount, left)
                left -= amount
            records.append(_waste_record(new_id(), finished, exchange, amount, seq=seq))
    return records


def _most_cost(finished: Finished, exchange: Exchange, prices: PriceBook) -> Decimal:
    return most_cost_of_exchange(
        finished.item.request,
        endpoint=finished.item.endpoint,
        provider_id=exchange.provider_id,
        upstream_model=exchange.upstream_model,
        prices=prices,
        at=exchange.sent_at,
        usual_limit=exchange.max_output_tokens,
    )


def _waste_record(waste_id: UUID, finished: Finished, exchange: Exchange | None, amount_usd: Decimal, *, seq: int) -> WasteRecord:
    item = finished.item
    return WasteRecord(
        id=waste_id,
        workspace_id=item.workspace_id,
        job_id=item.job_id,
        item_id=item.item_id,
        run_id=item.run_id,
        seq=seq,
        reason="ambiguous",
        provider_id=exchange.provider_id if exchange else None,
        upstream_model=exchange.upstream_model if exchange else "",
        amount_usd=amount_usd,
        model_id=item.model_id,
        api_key_id=item.api_key_id,
        end_user=item.end_user,
        feature=item.feature,
        lane=item.lane,
        prompt_version=item.prompt_version,
    )


# An escaped NUL in JSON; a backslash that is itself escaped before "u0000" is text.
_ESCAPED_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def plain(text: str) -> str:
    """Text that Postgres takes: providers may send NUL, which it refuses (as a character and escaped in JSON)."""
    if "\x00" not in text and "\\u0000" not in text:
        return text
    return _ESCAPED_NUL.sub(r"\1", text.replace("\x00", ""))
