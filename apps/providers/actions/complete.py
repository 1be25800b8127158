"""Complete: a call becomes an answer, or a class of failure with its reason."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import aiohttp
from django.conf import settings

from apps.lib.failpoints import failpoint
from apps.lib.redaction import is_real_key
from apps.providers.actions.gate import Gate, Refusal
from apps.providers.adapters import ADAPTERS
from apps.providers.adapters.adapter import Adapter
from apps.providers.adapters.http import Limits, Listener, send
from apps.providers.domain.answers import Reading, Request, WireAnswer, WireFailure
from apps.providers.domain.calls import Call, Completion, Exchange, Route
from apps.providers.domain.catalogue import UNPRICED, WITHOUT_PRICE, Catalogue
from apps.providers.domain.check_reading import check_reading
from apps.providers.domain.clear_key import ChunkClearing
from apps.providers.domain.outcomes import Outcome

# These may be asked of another target at once; an ambiguous call never may: it might be paid for twice.
_FAILS_OVER = {Outcome.FAILED_UPSTREAM, Outcome.NOT_SENT, Outcome.THROTTLED, Outcome.CREDENTIAL}


@dataclass(frozen=True, slots=True)
class _Channel:
    """What a call is made with, whoever is asked."""

    session: aiohttp.ClientSession
    clock: Callable[[], datetime]
    tell: Callable[[bytes], None] | None


async def complete(
    call: Call,
    *,
    session: aiohttp.ClientSession,
    catalogue: Catalogue,
    clock: Callable[[], datetime],
    gate: Gate,
    tell: Callable[[bytes], None] | None = None,
) -> Completion:
    """Ask the model's targets in their order until one answers. Trouble with providers is an outcome, never an exception.

    `tell` gets the chunks of an answer that is streamed, in OpenAI's shape, as they come: of one exchange, because what breaks off after
    a chunk is ambiguous, and nobody else is asked then.
    """
    channel = _Channel(session, clock, tell)
    routes = catalogue.routes(call.model_id)
    if call.model_id in catalogue.unpriced_models:
        return Completion(outcome=Outcome.REJECTED, error_code=UNPRICED, error_message=WITHOUT_PRICE)
    if not routes:
        return Completion(
            outcome=Outcome.CREDENTIAL,
            error_code="no_target",
            error_message="The model has no target that is switched on; give it one under Providers, or with 'manage.py apply'.",
        )
    # With none open, the one that opens first is waited for.
    order = [route for route in routes if gate.is_open(route)] or [min(routes, key=gate.wait_seconds)]
    last: Completion | None = None
    for n, route in enumerate(order):
        if n and not gate.is_open(route):
            continue
        has_next = any(gate.is_open(other) for other in order[n + 1 :])
        completion = await _through_gate(call, route, channel, gate, has_next=has_next)
        if completion is None or (last and not completion.exchanges):
            continue
        last = _after(last, completion)
        if completion.outcome not in _FAILS_OVER or completion.is_ours or n + 1 == len(order):
            return last
        if not gate.may_retry(route, completion.outcome):
            return last
    return last or _refused(order, gate)


async def _through_gate(call: Call, route: Route, channel: _Channel, gate: Gate, *, has_next: bool) -> Completion | None:
    """One HTTP request with permits; None when none came. It goes as the target stands when they have come, with its newest key."""
    admission = await gate.admit(call, route, has_next=has_next)
    if isinstance(admission, Refusal):
        return None
    newest = gate.newest(route)
    if newest is None:
        admission.withdraw()
        return None
    route = newest
    try:
        completion = await _ask(call, route, channel)
    except BaseException:
        admission.abandon()
        raise
    return admission.settle(completion, call, route)


def _after(earlier: Completion | None, completion: Completion) -> Completion:
    return replace(completion, exchanges=earlier.exchanges + completion.exchanges) if earlier else completion


def _refused(routes: Sequence[Route], gate: Gate) -> Completion:
    if all(gate.is_paused(route) for route in routes):
        return Completion(
            outcome=Outcome.CREDENTIAL,
            error_code="target_paused",
            error_message="The provider has refused our credential or model a moment ago; it is asked again within a minute.",
        )
    return Completion(
        outcome=Outcome.THROTTLED,
        error_code="limit_reached",
        error_message="The limits of the model's providers leave no room at present.",
        retry_after_seconds=max(1.0, min(gate.wait_seconds(route) for route in routes)),
    )


async def _ask(call: Call, route: Route, channel: _Channel) -> Completion:
    adapter = ADAPTERS.get(route.kind)
    if adapter is None:
        return Completion(
            outcome=Outcome.CREDENTIAL,
            error_code="no_adapter",
            error_message=f"The provider {route.provider_name!r} is of the kind {route.kind!r}, which this version can't speak to.",
        )
    try:
        request = adapter.write(call, route)
    except ValueError as error:
        return Completion(outcome=Outcome.REJECTED, error_code="invalid_body", error_message=str(error))
    limits = Limits(
        connect_seconds=route.connect_timeout_seconds,
        read_seconds=route.read_timeout_seconds,
        total_seconds=route.total_timeout_seconds,
        answer_bytes=settings.PROVIDERS_MAX_ANSWER_BYTES,
    )
    failpoint("call.before_send")
    # A provider that repeats the key it was sent would have it kept, shown and handed on.
    listener = _listener(adapter, call, route, channel)
    answer = (await send(channel.session, request, limits, clock=channel.clock, listener=listener)).without(route.api_key)
    failpoint("call.answered")
    reading = check_reading(adapter.read(answer), endpoint=call.endpoint, request=call.body, answer=answer.body)
    return Completion(
        outcome=reading.outcome,
        exchanges=(_exchange(request, route, answer, reading),),
        answer=reading.translated or answer.body,
        status_code=answer.status,
        usage=reading.usage,
        raw_usage=reading.raw_usage,
        error_code=reading.error_code,
        error_message=reading.error_message,
        retry_after_seconds=reading.retry_after_seconds,
        is_ours=answer.failure is WireFailure.OURS,
        is_overstated=reading.is_excessive,
    )


def _listener(adapter: Adapter, call: Call, route: Route, channel: _Channel) -> Listener | None:
    tell = channel.tell
    if not call.is_streamed or tell is None:
        return None
    stream = adapter.open_stream(call, now=channel.clock())
    if not is_real_key(route.api_key):
        return Listener(stream, tell)
    clearing = ChunkClearing(route.api_key)
    return Listener(stream, lambda chunk: tell(clearing.clear(chunk)))


def _exchange(request: Request, route: Route, answer: WireAnswer, reading: Reading) -> Exchange:
    return Exchange(
        target_id=route.target_id,
        provider_id=route.provider_id,
        upstream_model=route.upstream_model,
        path="/v1" + request.url.removeprefix(route.base_url),
        outcome=reading.outcome,
        sent_at=answer.sent_at,
        duration_seconds=answer.duration_seconds,
        status_code=answer.status,
        first_byte_seconds=answer.first_byte_seconds,
        provider_request_id=answer.headers.get("x-request-id") or answer.headers.get("request-id", ""),
        headers=dict(answer.headers),
        answer=answer.body,
        error=answer.error or reading.note,
        retry_after_seconds=reading.retry_after_seconds,
        max_output_tokens=route.max_output_tokens,
    )
