"""The gate: each pump's way to permits. It syncs with Redis in blocks, so that a call at full speed asks nobody."""

import asyncio
import time
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from uuid import UUID

import redis
import structlog

from apps.providers.domain.calls import Call, Completion, Route
from apps.providers.domain.catalogue import Catalogue
from apps.providers.domain.limits import estimate_tokens, told_limits
from apps.providers.domain.outcomes import Outcome
from apps.providers.limits.bucket import SOON_SECONDS, SYNC_SECONDS, Answer, Bucket, Waiter
from apps.providers.limits.shared import SharedBuckets

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 5.0
_PAUSE_SECONDS = 60.0
_RETRY_COSTS = {Outcome.THROTTLED: 5}
_TRANSIENT_COST = 14


@dataclass(frozen=True, slots=True)
class Refusal:
    """No permit came, or none can come for a while."""

    wait_seconds: float


@dataclass(slots=True)
class Admission:
    """A permit of the target's bucket and one of the provider's, for one HTTP request."""

    gate: "Gate"
    buckets: tuple[Bucket, Bucket]
    tokens: float

    def settle(self, completion: Completion, route: Route) -> None:
        """What the call came to: the estimate becomes what was used, and the buckets learn."""
        target, provider = self.buckets
        now = time.monotonic()
        if completion.usage is not None:
            used = completion.usage.total_input_tokens + completion.usage.total_output_tokens
            self.gate.learn(route, completion.usage.total_output_tokens)
            for bucket in self.buckets:
                bucket.news.token_delta += used - self.tokens
        if completion.exchanges:
            provider.news.told_requests, provider.news.told_tokens = told_limits(completion.exchanges[-1].headers)
        target.note(completion.outcome, retry_after_seconds=None, is_mine=False)
        provider.note(completion.outcome, retry_after_seconds=completion.retry_after_seconds, is_mine=True)
        if completion.outcome is Outcome.CREDENTIAL and completion.exchanges:
            target.news.pause_seconds, target.next_at = _PAUSE_SECONDS, 0.0
            target.blocked_until = target.paused_until = now + _PAUSE_SECONDS
        if completion.outcome is Outcome.THROTTLED and completion.retry_after_seconds:
            # This pump knows at once; the others within a tenth of a second.
            provider.blocked_until = max(provider.blocked_until, now + completion.retry_after_seconds)
        for bucket in self.buckets:
            bucket.release(now)
        self.gate.wake()

    def abandon(self) -> None:
        """The call was broken off by us: what it used counts as estimated."""
        for bucket in self.buckets:
            bucket.release(time.monotonic())
        self.gate.wake()


class Gate(AbstractAsyncContextManager["Gate"]):
    """One per pump. Entered, it keeps its buckets in step with Redis."""

    def __init__(self, *, pump_id: UUID, is_interactive: bool) -> None:
        self.pump = pump_id.hex
        self.is_interactive = is_interactive
        self.buckets: dict[str, Bucket] = {}
        self.usual_output: dict[UUID, float] = {}
        self.has_work = asyncio.Event()
        self.is_cut_off = False
        self.is_closing = False

    async def __aenter__(self) -> Self:
        self.shared = SharedBuckets()
        self.syncing = asyncio.create_task(self._sync_for_ever())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # Not by cancelling: Python 3.11's wait_for may swallow that when it is woken at the same moment.
        self.is_closing = True
        self.wake()
        await self.syncing
        await self._sync([bucket for bucket in self.buckets.values() if bucket.synced_at > 0])
        await self.shared.close()

    # --- one call ---------------------------------------------------------------------------------------------------

    def is_open(self, route: Route) -> bool:
        """Neither blocked nor paused, and the breaker lets calls through."""
        now = time.monotonic()
        return not any(bucket.is_closed(now) for bucket in self._of(route))

    def is_paused(self, route: Route) -> bool:
        """A failed credential keeps it out."""
        return any(bucket.paused_until > time.monotonic() for bucket in self._of(route))

    def wait_seconds(self, route: Route) -> float:
        return max(0.0, max(bucket.blocked_until for bucket in self._of(route)) - time.monotonic())

    async def admit(self, call: Call, route: Route) -> Admission | Refusal:
        """Permits of both buckets, within a few seconds or not at all."""
        buckets = self._of(route)
        needs_tokens = any(bucket.limits.tokens_per_minute for bucket in buckets)
        tokens = float(self._estimate(call, route)) if needs_tokens else 0.0
        until = time.monotonic() + PATIENCE_SECONDS
        taken: list[Bucket] = []
        try:
            for bucket in buckets:
                if not await self._take(bucket, tokens, until):
                    self._give_back(taken, tokens)
                    wait = max(bucket.blocked_until - time.monotonic(), bucket.said.wait_ms / 1000, 1.0)
                    return Refusal(wait_seconds=wait)
                taken.append(bucket)
        except asyncio.CancelledError:
            self._give_back(taken, tokens)
            raise
        return Admission(self, buckets, tokens)

    def may_retry(self, route: Route, outcome: Outcome) -> bool:
        """Whether the target's retry budget allows one more request on its account; it is booked."""
        target = self._of(route)[0]
        cost = _RETRY_COSTS.get(outcome, _TRANSIENT_COST)
        if target.said.budget - target.news.retry_cost < cost:
            return False
        target.news.retry_cost += cost
        return True

    def learn(self, route: Route, output_tokens: int) -> None:
        usual = self.usual_output.get(route.target_id)
        self.usual_output[route.target_id] = output_tokens if usual is None else usual + (output_tokens - usual) / 20

    def wake(self) -> None:
        self.has_work.set()

    # --- claims -----------------------------------------------------------------------------------------------------

    def allowances(self, catalogue: Catalogue) -> dict[UUID, int]:
        """For each model that something bounds: how many more calls may expect a permit soon; 0 when nobody can be asked."""
        now, found = time.monotonic(), {}
        for model_id, routes in catalogue.routes_by_model.items():
            total: int | None = 0
            for route in routes:
                both = [one for one in (bucket.allowance(now) for bucket in self._of(route)) if one is not None]
                total = None if total is None or not both else total + min(both)
            if total is not None and routes:
                found[model_id] = total
        return found

    # --- buckets ----------------------------------------------------------------------------------------------------

    def _of(self, route: Route) -> tuple[Bucket, Bucket]:
        return (
            self._bucket(f"target:{route.target_id.hex}", route, has_breaker=True),
            self._bucket(f"provider:{route.provider_id.hex}", route, has_breaker=False),
        )

    def _bucket(self, key: str, route: Route, *, has_breaker: bool) -> Bucket:
        limits = route.target_limits if has_breaker else route.provider_limits
        bucket = self.buckets.get(key)
        if bucket is None:
            bucket = self.buckets[key] = Bucket(key, limits, has_breaker=has_breaker, is_interactive=self.is_interactive)
            # How it stands (blocked, open) is asked before the first claim comes to it.
            bucket.next_at = 0.0
            self.wake()
        elif bucket.limits is not limits and bucket.limits != limits:
            bucket.limits, bucket.next_at = limits, 0.0
            self.wake()
        return bucket

    async def _take(self, bucket: Bucket, tokens: float, until: float) -> bool:
        now = time.monotonic()
        if bucket.take(tokens, now):
            return True
        if bucket.blocked_until > until:
            return False
        waiter = Waiter(asyncio.get_running_loop().create_future(), tokens)
        bucket.waiters.append(waiter)
        pause = SYNC_SECONDS if bucket.is_closed(now) or bucket.said.is_reserved else SOON_SECONDS
        bucket.next_at = min(bucket.next_at, max(now, bucket.synced_at + pause))
        self.wake()
        try:
            await asyncio.wait_for(asyncio.shield(waiter.future), until - now)
        except TimeoutError:
            waiter.future.cancel()
            return False
        except asyncio.CancelledError:
            if waiter.future.done() and not waiter.future.cancelled():
                bucket.give_back(tokens, time.monotonic())
            waiter.future.cancel()
            raise
        return True

    def _give_back(self, buckets: Iterable[Bucket], tokens: float) -> None:
        for bucket in buckets:
            bucket.give_back(tokens, time.monotonic())
        self.wake()

    def _estimate(self, call: Call, route: Route) -> int:
        usual = self.usual_output.get(route.target_id)
        return estimate_tokens(call.body, max_output_tokens=route.max_output_tokens, usual_output_tokens=usual)

    # --- in step with Redis -----------------------------------------------------------------------------------------

    async def _sync_for_ever(self) -> None:
        while not self.is_closing:
            self.has_work.clear()
            now = time.monotonic()
            due = [bucket for bucket in self.buckets.values() if bucket.is_due(now)]
            if due:
                await self._sync(due)
            nearest = min((bucket.next_at for bucket in self.buckets.values()), default=float("inf"))
            pause = max(SOON_SECONDS / 2, min(1.0, nearest - time.monotonic()))
            if pause > SOON_SECONDS:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.has_work.wait(), pause)
            else:
                await asyncio.sleep(pause)

    async def _sync(self, due: list[Bucket]) -> None:
        try:
            answers = await self.shared.sync(due, pump=self.pump, now=time.monotonic())
        except (redis.RedisError, OSError) as error:
            if not self.is_cut_off:
                log.warning("limits_cut_off", error=str(error), goes_on="with half of its own share")
            self.is_cut_off = True
            for bucket in due:
                bucket.share_locally(time.monotonic())
            return
        if self.is_cut_off:
            log.info("limits_back")
        self.is_cut_off = False
        for bucket, answer in zip(due, answers, strict=True):
            _report(bucket, answer)
            bucket.hear(answer, time.monotonic())


def _report(bucket: Bucket, answer: Answer) -> None:
    if answer.opened:
        log.warning("breaker_opened", bucket=bucket.key, for_seconds=answer.blocked_ms / 1000)
    elif answer.breaker != bucket.said.breaker:
        log.info("breaker_changed", bucket=bucket.key, state=answer.breaker)
