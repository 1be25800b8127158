"""Sends deliveries from an event loop on a thread of its own, so that nobody waits for a receiver but its own deliveries."""

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from threading import Thread
from types import TracebackType
from typing import Self

import aiohttp
from django.conf import settings

from apps.lib.egress import EgressAnswer, EgressLimits, EgressRules, open_egress_session, post
from apps.lib.sealing import SealInvalidError, unseal
from apps.webhooks.actions.claim_deliveries import Claimed
from apps.webhooks.domain.signatures import sign_headers

LIMITS = EgressLimits(connect_seconds=5, total_seconds=15, answer_bytes=64 * 1024)
# Looking up a name blocks a thread: enough of them that slow name servers delay nobody else.
_NAME_THREADS = 64


def egress_rules() -> EgressRules:
    """What the settings allow."""
    return EgressRules(
        ports=frozenset(settings.WEBHOOKS_PORTS), networks=settings.WEBHOOKS_PRIVATE_NETWORKS, is_http_allowed=settings.WEBHOOKS_HTTP
    )


class Sender:
    """A context; `send` may be called from any thread while it is open."""

    def __init__(self, *, limits: EgressLimits = LIMITS) -> None:
        self._limits = limits
        self._rules = egress_rules()
        self._loop = asyncio.new_event_loop()
        self._names = ThreadPoolExecutor(_NAME_THREADS, thread_name_prefix="webhook-names")
        self._loop.set_default_executor(self._names)
        self._thread = Thread(target=self._loop.run_forever, name="webhook-sender", daemon=True)
        self._session: aiohttp.ClientSession

    def __enter__(self) -> Self:
        self._thread.start()
        self._session = asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        # A name server that hangs isn't waited for.
        self._names.shutdown(wait=False, cancel_futures=True)

    def send(self, claimed: Claimed, *, now: datetime) -> "Future[EgressAnswer]":
        """Signed at this moment; its answer, or why there is none."""
        try:
            headers = _headers(claimed, now)
        except SealInvalidError:
            refused: Future[EgressAnswer] = Future()
            message = "The endpoint's secret can't be read any more: give it a new one."
            refused.set_result(EgressAnswer(status=None, error=message, body=b"", retry_after="", duration_seconds=0))
            return refused
        return asyncio.run_coroutine_threadsafe(self._post(claimed, headers), self._loop)

    async def _open(self) -> aiohttp.ClientSession:
        return open_egress_session(self._rules)

    async def _post(self, claimed: Claimed, headers: dict[str, str]) -> EgressAnswer:
        body = claimed.payload.encode()
        return await post(self._session, claimed.url, body=body, headers=headers, rules=self._rules, limits=self._limits)

    async def _close(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._session.close()


def _headers(claimed: Claimed, now: datetime) -> dict[str, str]:
    owner = f"webhook:{claimed.endpoint_id}"
    sealed = filter(None, (claimed.secret_sealed, claimed.previous_secret_sealed))
    valid = [unseal(secret, keys=settings.ENCRYPTION_KEYS, owner=owner) for secret in sealed]
    signed = sign_headers(valid, event_id=claimed.webhook_id, body=claimed.payload, now=now)
    return {"Content-Type": "application/json", "User-Agent": "aiplatform-webhooks/1"} | signed
