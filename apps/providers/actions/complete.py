"""Complete: a call becomes an answer, or a class of failure with its reason."""

from collections.abc import Callable
from datetime import datetime

import aiohttp
from django.conf import settings

from apps.lib.failpoints import failpoint
from apps.providers.adapters import ADAPTERS
from apps.providers.adapters.http import Limits, send
from apps.providers.domain.answers import Reading, Request, WireAnswer
from apps.providers.domain.calls import Call, Completion, Exchange, Route
from apps.providers.domain.catalogue import Catalogue
from apps.providers.domain.outcomes import Outcome


async def complete(call: Call, *, session: aiohttp.ClientSession, catalogue: Catalogue, clock: Callable[[], datetime]) -> Completion:
    """Ask the model's first target once. Trouble with providers is an outcome, never an exception."""
    routes = catalogue.routes(call.model_id)
    if not routes:
        return Completion(
            outcome=Outcome.CREDENTIAL,
            error_code="no_target",
            error_message="The model has no target that is switched on; give it one under Providers, or with 'manage.py apply'.",
        )
    return await _ask(call, routes[0], session, clock)


async def _ask(call: Call, route: Route, session: aiohttp.ClientSession, clock: Callable[[], datetime]) -> Completion:
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
    answer = await send(session, request, limits, clock=clock)
    failpoint("call.answered")
    reading = adapter.read(answer)
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
    )


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
    )
