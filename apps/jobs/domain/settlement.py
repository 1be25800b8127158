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
from apps.providers.domain.calls import Exchange
from apps.spend.domain.charges import ChargeRecord
from apps.spend.domain.pricing import PriceBook, cost_of
from apps.spend.domain.usage import TokenUsage
from apps.traces.domain.bodies import NewBody, make_body
from apps.traces.domain.records import ExchangeRecord, RunRecord

_STATES = {Decision.DONE: "done", Decision.DEAD: "dead", Decision.RETRY: "waiting", Decision.SNOOZE: "waiting"}
_NOTHING = Decimal(0)
_ERROR_CODE_LENGTH = 100
_ERROR_MESSAGE_LENGTH = 2000


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
    charge: ChargeRecord | None

    @property
    def decision(self) -> Decision:
        return self.step.decision

    @property
    def cost_usd(self) -> Decimal:
        return self.charge.cost_usd if self.charge else _NOTHING

    def item_row(self) -> tuple[Any, ...]:
        """The item's new values, in the order of settle's UPDATE."""
        completion = self.finished.completion
        usage = completion.usage or TokenUsage()
        return (
            self.finished.item.item_id,
            self.finished.item.run_id,
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
            usage.total_input_tokens,
            usage.total_output_tokens,
            self.cost_usd,
        )


def settle_finished(
    finished: Finished, *, pump_id: UUID, prices: PriceBook, policy: Policy, chance: float, new_id: Callable[[], UUID]
) -> Settlement:
    """Decide what follows and write out the records; touches nothing."""
    item, completion = finished.item, finished.completion
    step = next_step(
        completion.outcome,
        item.tries,
        policy,
        chance=chance,
        retry_after_seconds=completion.retry_after_seconds,
        is_probe=completion.is_probe,
    )
    bodies: list[NewBody] = []
    exchanges = [_exchange_record(new_id(), finished, exchange, bodies) for exchange in completion.exchanges]
    answer_body_id = _answer_body_id(finished, bodies)
    error_code = plain(completion.error_code)[:_ERROR_CODE_LENGTH]
    error_message = plain(completion.error_message)[:_ERROR_MESSAGE_LENGTH]
    run = RunRecord(
        id=item.run_id,
        workspace_id=item.workspace_id,
        job_id=item.job_id,
        item_id=item.item_id,
        pump_id=pump_id,
        attempt=item.tries.attempts + item.tries.free + 1,
        outcome=completion.outcome.value,
        decision=step.decision.value,
        error_code=error_code,
        error_message=error_message,
        claimed_at=item.claimed_at,
        ended_at=finished.ended_at,
    )
    charge = _charge_record(new_id(), finished, prices) if step.decision is Decision.DONE and completion.exchanges else None
    return Settlement(
        finished=finished,
        step=step,
        answer_body_id=answer_body_id,
        error_code=error_code,
        error_message=error_message,
        bodies=bodies,
        run=run,
        exchanges=exchanges,
        charge=charge,
    )


def _answer_body_id(finished: Finished, bodies: list[NewBody]) -> bytes | None:
    """The last exchange's own body; a second one where the answer was translated from it."""
    completion = finished.completion
    if not bodies or not completion.answer:
        return None
    if completion.answer != completion.exchanges[-1].answer:
        bodies.append(make_body(finished.item.workspace_id, completion.answer))
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


def _charge_record(charge_id: UUID, finished: Finished, prices: PriceBook) -> ChargeRecord:
    item, completion = finished.item, finished.completion
    exchange = completion.exchanges[-1]
    usage = completion.usage or TokenUsage()
    price = prices.price(exchange.provider_id, exchange.upstream_model, exchange.sent_at)
    return ChargeRecord(
        id=charge_id,
        workspace_id=item.workspace_id,
        job_id=item.job_id,
        item_id=item.item_id,
        seq=0,
        run_id=item.run_id,
        model_id=item.model_id,
        provider_id=exchange.provider_id,
        upstream_model=exchange.upstream_model,
        price_id=price.id if price else None,
        api_key_id=item.api_key_id,
        end_user=item.end_user,
        feature=item.feature,
        lane=item.lane,
        input_tokens=usage.input_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        usage=plain(orjson.dumps(completion.raw_usage).decode()) if completion.raw_usage is not None else None,
        prices=price.json if price else None,
        cost_usd=cost_of(usage, price) if price else _NOTHING,
        created_at=finished.ended_at,
    )


# An escaped NUL in JSON; a backslash that is itself escaped before "u0000" is text.
_ESCAPED_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def plain(text: str) -> str:
    """Text that Postgres takes: providers may send NUL, which it refuses (as a character and escaped in JSON)."""
    if "\x00" not in text and "\\u0000" not in text:
        return text
    return _ESCAPED_NUL.sub(r"\1", text.replace("\x00", ""))
