"""The gate: each pump's way to permits. It syncs with Redis in blocks, so that a call at full speed asks nobody."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self
from uuid import UUID

import redis
import structlog

from apps.providers.adapters import ADAPTERS
from apps.providers.domain.calls import Call, Completion, Route
from apps.providers.domain.catalogue import Catalogue
from apps.providers.domain.limits import BYTES_A_TOKEN, NO_TOKENS, BucketLimits, Size, count_tokens, estimate_tokens, read_told
from apps.providers.domain.outcomes import Outcome
from apps.providers.domain.transitions import Transition
from apps.providers.limits.bucket import SOON_SECONDS, SYNC_SECONDS, WORTH_WAITING_SECONDS, Bucket
from apps.providers.limits.shared import SharedBuckets
from apps.providers.limits.talk import Answer, Waiter

log = structlog.get_logger(__name__)

# How long a call waits for a permit: for a caller, or for bulk work (whose lease is renewed meanwhile); and with another target at hand.
_CALLER_SECONDS = 30.0
_BULK_SECONDS = 60.0
_CALLER_WITH_NEXT_SECONDS = 5.0
_RECOVERING_WITH_NEXT_SECONDS = 0.2
_PAUSE_SECONDS = 60.0
# How long Redis may take to answer; less once it has not: the pump's own share is handed out between two tries.
_SYNC_PATIENCE_SECONDS = 2.0
_CUT_OFF_SECONDS = 0.3
_MOST_TRANSITIONS = 1000
_REMARK_SECONDS = 600.0
# An answer that took longer speaks of limits as they stood when it was begun, or when it ended: nobody knows.
_FRESH_SECONDS = 5.0
_RETRY_COSTS = {Outcome.THROTTLED: 5}
_TRANSIENT_COST = 14
_UNUSED = {Outcome.THROTTLED, Outcome.NOT_SENT, Outcome.REJECTED, Outcome.CREDENTIAL}


@dataclass(frozen=True, slots=True)
class Refusal:
    """No permit came, or none can come for a while."""

    wait_seconds: float


@dataclass(frozen=True, slots=True)
class Admission:
    """A permit of the target's bucket and one of the provider's, for one HTTP request. `epoch` is the breaker's when it was begun."""

    gate: "Gate"
    buckets: tuple[Bucket, Bucket]
    size: Size
    epoch: int
    is_probe: bool

    def settle(self, completion: Completion, call: Call, route: Route) -> Completion:
        """What the call came to: the estimate becomes what was used, and the buckets learn. The completion says whether it was a probe."""
        target, provider = self.buckets
        outcome, usage, now = completion.outcome, completion.usage, time.monotonic()
        if usage is not None:
            used = count_tokens(usage, is_cached_free=ADAPTERS[route.kind].is_cached_free)
            self.gate.learn(call, route, used)
            self._correct(used)
        elif outcome in _UNUSED:
            self._correct(NO_TOKENS)
        if completion.is_ours:
            target.note_undecided(epoch=self.epoch)
        else:
            target.note(outcome, epoch=self.epoch)
            provider.note(outcome, epoch=0)
        # A key that was replaced meanwhile says nothing of the new one.
        is_current = route.target_limits.version == target.limits.version
        if outcome is Outcome.CREDENTIAL and completion.exchanges and is_current:
            target.news.pause_seconds, target.next_at = _PAUSE_SECONDS, 0.0
            target.blocked_until = target.paused_until = now + _PAUSE_SECONDS
        if completion.is_overstated:
            self.gate.remark(target, "overstated", now)
        if outcome is Outcome.OK and completion.exchanges:
            target.time(completion.exchanges[-1].duration_seconds, usage.total_output_tokens if usage else 0)
        self._hear(completion, now)
        for bucket in self.buckets:
            bucket.release(now)
        self.gate.wake()
        return replace(completion, is_probe=True) if self.is_probe or target.is_down() else completion

    def withdraw(self) -> None:
        """The call was not made after all."""
        for bucket in self.buckets:
            bucket.give_back(self.size, time.monotonic())
        self.gate.wake()

    def abandon(self) -> None:
        """The call was broken off by us: what it used counts as estimated."""
        self.buckets[0].note_undecided(epoch=self.epoch)
        for bucket in self.buckets:
            bucket.release(time.monotonic())
        self.gate.wake()

    def _correct(self, used: Size) -> None:
        """The estimate becomes what was used, input and output apart."""
        more = Size(used.input - self.size.input, used.output - self.size.output)
        for bucket in self.buckets:
            bucket.news.charge(more)

    def _hear(self, completion: Completion, now: float) -> None:
        """What the provider says of its limits, and that it refused for want of room, go to the bucket that is meant."""
        is_throttled = completion.outcome is Outcome.THROTTLED
        target, provider = self.buckets
        meant = _meant(target, provider)
        if completion.exchanges and (is_throttled or meant.limits.has_rates or meant.said.is_bound):
            exchange = completion.exchanges[-1]
            told = read_told(exchange.headers, now=exchange.sent_at)
            if exchange.duration_seconds > _FRESH_SECONDS:
                told = told.without_levels()
            # Limits may be counted by model: then they say nothing about the provider's other ones.
            (meant if len(self.gate.targets_of[provider.key]) == 1 else target).news.told = told
        if is_throttled:
            meant.throttle(completion.retry_after_seconds, now)
            siblings = self.gate.targets_of[provider.key]
            if meant is target and any(bucket is not target and bucket.was_throttled(now) for bucket in siblings):
                provider.throttle(completion.retry_after_seconds, now)


def _target_key(route: Route) -> str:
    return f"target:{route.target_id.hex}"


def _provider_key(route: Route) -> str:
    return f"provider:{route.provider_id.hex}"


def _meant(target: Bucket, provider: Bucket) -> Bucket:
    """Whose rate a provider speaks of when it refuses: the provider's, where the operator has set one there and none at the target."""
    return provider if provider.limits.has_rates and not target.limits.has_rates else target


class Gate(AbstractAsyncContextManager["Gate"]):
    """One per pump. Entered, it keeps its buckets in step with Redis."""

    def __init__(self, *, pump_id: UUID, is_interactive: bool) -> None:
        self.pump = pump_id.hex
        self.is_interactive = is_interactive
        self.buckets: dict[str, Bucket] = {}
        self.by_route: dict[UUID, tuple[Route, tuple[Bucket, Bucket]]] = {}
        self.targets_of: dict[str, list[Bucket]] = {}
        self.usual: dict[UUID, tuple[float, float]] = {}
        self.newest_limits: dict[str, BucketLimits] = {}
        # By target, as the newest catalogue has them; None: none was followed.
        self.newest_routes: dict[UUID, Route] | None = None
        # What people shall know of; whoever has a database takes it from here.
        self.happened: deque[Transition] = deque(maxlen=_MOST_TRANSITIONS)
        self.remarked: dict[tuple[str, str], float] = {}
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
        if self.newest(route) is None:
            return False
        now = time.monotonic()
        target, provider = self._of(route)
        return not (target.is_closed(now) or provider.is_closed(now))

    def is_paused(self, route: Route) -> bool:
        """A failed credential keeps it out."""
        return any(bucket.paused_until > time.monotonic() for bucket in self._of(route))

    def wait_seconds(self, route: Route) -> float:
        return max(0.0, max(bucket.blocked_until for bucket in self._of(route)) - time.monotonic())

    async def admit(self, call: Call, route: Route, *, has_next: bool = False) -> Admission | Refusal:
        """Permits of both buckets, within a while or not at all; `has_next`: another target could be asked instead."""
        if self.newest(route) is None:
            return Refusal(wait_seconds=1.0)
        buckets = self._of(route)
        target, provider = buckets
        size = self._estimate(call, route) if target.limits.has_tokens or provider.limits.has_tokens else NO_TOKENS
        until = time.monotonic() + self._patience(target, has_next=has_next)
        taken: list[Bucket] = []
        try:
            for bucket in buckets:
                if not await self._take(bucket, size, until):
                    self._give_back(taken, size)
                    wait = max(bucket.blocked_until - time.monotonic(), bucket.said.wait_ms / 1000, 1.0)
                    return Refusal(wait_seconds=wait)
                taken.append(bucket)
        except asyncio.CancelledError:
            self._give_back(taken, size)
            raise
        return Admission(self, buckets, size, epoch=target.said.epoch, is_probe=target.said.breaker != "closed")

    def _patience(self, target: Bucket, *, has_next: bool) -> float:
        if has_next and target.is_recovering():
            return _RECOVERING_WITH_NEXT_SECONDS
        if self.is_interactive:
            return _CALLER_WITH_NEXT_SECONDS if has_next else _CALLER_SECONDS
        return _BULK_SECONDS

    def may_retry(self, route: Route, outcome: Outcome) -> bool:
        """Whether the target's retry budget allows one more request on its account; it is booked."""
        target = self._of(route)[0]
        cost = _RETRY_COSTS.get(outcome, _TRANSIENT_COST)
        if target.said.budget - target.news.retry_cost < cost:
            return False
        target.news.retry_cost += cost
        return True

    def learn(self, call: Call, route: Route, used: Size) -> None:
        """What is usual at a target: tokens of output, and bytes of a request to a token of input."""
        known, output = self.usual.get(route.target_id), used.output
        bytes_a_token = len(call.body) / used.input if used.input else BYTES_A_TOKEN
        if known is None:
            self.usual[route.target_id] = (output, bytes_a_token)
        else:
            self.usual[route.target_id] = known[0] + (output - known[0]) / 20, known[1] + (bytes_a_token - known[1]) / 20

    def wake(self) -> None:
        self.has_work.set()

    # --- claims -----------------------------------------------------------------------------------------------------

    def allowances(self, catalogue: Catalogue) -> dict[UUID, int]:
        """For each model that something bounds: how many more calls may expect a permit soon; 0 when nobody can be asked.

        The first target that is well answers for all; before it, those that recover take what they may.
        """
        now, found = time.monotonic(), dict.fromkeys(catalogue.idle_models, 0)
        for model_id, routes in catalogue.routes_by_model.items():
            total: int | None = 0
            for route in routes:
                target, provider = self._of(route)
                both = [one for one in (target.allowance(now), provider.allowance(now)) if one is not None]
                total = None if total is None or not both else total + min(both)
                if not (target.is_closed(now) or provider.is_closed(now) or target.is_recovering()):
                    break
            if total is not None and routes:
                found[model_id] = total
        self.wake()
        return found

    def follow(self, catalogue: Catalogue) -> None:
        """The newest catalogue holds at once: while nothing is claimed, too, and for calls begun under an older one."""
        routes = [route for found in catalogue.routes_by_model.values() for route in found]
        self.newest_routes = {route.target_id: route for route in routes}
        self.newest_limits = {_target_key(route): route.target_limits for route in routes}
        self.newest_limits |= {_provider_key(route): route.provider_limits for route in routes}
        for key, limits in self.newest_limits.items():
            if key in self.buckets:
                self._edit(self.buckets[key], limits)
        for target_id, (_, (target, _)) in self.by_route.items():
            if target_id not in self.newest_routes:
                target.send_away()

    def newest(self, route: Route) -> Route | None:
        """The route as it stands by now; None: its target has been paused, switched off or removed since."""
        return route if self.newest_routes is None else self.newest_routes.get(route.target_id)

    # --- buckets ----------------------------------------------------------------------------------------------------

    def _of(self, route: Route) -> tuple[Bucket, Bucket]:
        known = self.by_route.get(route.target_id)
        if known is None or known[0] is not route:
            target = self._bucket(_target_key(route), route.target_limits, has_breaker=True)
            provider = self._bucket(_provider_key(route), route.provider_limits, has_breaker=False)
            if target not in self.targets_of.setdefault(provider.key, []):
                self.targets_of[provider.key].append(target)
            known = self.by_route[route.target_id] = (route, (target, provider))
        return known[1]

    def _bucket(self, key: str, limits: BucketLimits, *, has_breaker: bool) -> Bucket:
        bucket, limits = self.buckets.get(key), self.newest_limits.get(key, limits)
        if bucket is None:
            bucket = self.buckets[key] = Bucket(key, limits, has_breaker=has_breaker, is_interactive=self.is_interactive)
            # How it stands (blocked, open) is asked before the first claim comes to it.
            bucket.next_at = 0.0
            self.wake()
        else:
            self._edit(bucket, limits)
        return bucket

    def _edit(self, bucket: Bucket, limits: BucketLimits) -> None:
        if bucket.limits != limits:
            bucket.limits, bucket.next_at = limits, 0.0
            self.wake()

    async def _take(self, bucket: Bucket, size: Size, until: float) -> bool:
        now = time.monotonic()
        if bucket.take(size, now):
            return True
        if bucket.blocked_until > (until if self.is_interactive else min(until, now + WORTH_WAITING_SECONDS)):
            return False
        waiter = Waiter(asyncio.get_running_loop().create_future(), size)
        bucket.waiters.append(waiter)
        pause = SYNC_SECONDS if bucket.is_closed(now) or bucket.said.is_reserved else SOON_SECONDS
        bucket.next_at = min(bucket.next_at, max(now, bucket.synced_at + pause))
        self.wake()
        try:
            async with asyncio.timeout(until - now):
                return await asyncio.shield(waiter.future)
        except TimeoutError:
            waiter.future.cancel()
            return False
        except asyncio.CancelledError:
            if waiter.future.done() and not waiter.future.cancelled() and waiter.future.result():
                bucket.give_back(size, time.monotonic())
            waiter.future.cancel()
            raise

    def _give_back(self, buckets: Iterable[Bucket], size: Size) -> None:
        for bucket in buckets:
            bucket.give_back(size, time.monotonic())
        self.wake()

    def _estimate(self, call: Call, route: Route) -> Size:
        usual, bytes_a_token = self.usual.get(route.target_id) or (None, BYTES_A_TOKEN)
        return estimate_tokens(call.body, max_output_tokens=route.max_output_tokens, usual_output_tokens=usual, bytes_a_token=bytes_a_token)

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
                    async with asyncio.timeout(pause):
                        await self.has_work.wait()
            else:
                await asyncio.sleep(pause)

    async def _sync(self, due: list[Bucket]) -> None:
        try:
            patience = _CUT_OFF_SECONDS if self.is_cut_off else _SYNC_PATIENCE_SECONDS
            answers = await self.shared.sync(due, pump=self.pump, now=time.monotonic(), seconds=patience)
        except (redis.RedisError, OSError, ValueError) as error:
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
            self._report(bucket, answer)
            bucket.hear(answer, time.monotonic())

    def remark(self, target: Bucket, what: str, now: float) -> None:
        """Something about a target that people shall know of, once in a while."""
        if now - self.remarked.get((target.key, what), float("-inf")) >= _REMARK_SECONDS:
            self.remarked[(target.key, what)] = now
            self.happened.append(Transition(None, UUID(hex=target.key.partition(":")[2]), what, datetime.now(UTC)))

    def _report(self, bucket: Bucket, answer: Answer) -> None:
        if answer.opened:
            log.warning("breaker_opened", bucket=bucket.key, for_seconds=answer.blocked_ms / 1000)
        elif answer.breaker != bucket.said.breaker:
            log.info("breaker_changed", bucket=bucket.key, state=answer.breaker)
        kind, _, digits = bucket.key.partition(":")
        owner, seconds = UUID(hex=digits), answer.blocked_ms / 1000 or None
        for what in answer.happened.split():
            target_id, provider_id = (owner, None) if kind == "target" else (None, owner)
            self.happened.append(Transition(provider_id, target_id, what, datetime.now(UTC), seconds))
