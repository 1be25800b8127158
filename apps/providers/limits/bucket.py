"""One bucket as one pump sees it: permits in hand, who waits, and what Redis has not heard yet. No I/O."""

import asyncio
import random
from collections import deque
from dataclasses import dataclass, field
from math import ceil

from apps.providers.domain.limits import NOTHING_TOLD, BucketLimits, Told
from apps.providers.domain.outcomes import Outcome

SYNC_SECONDS = 0.1
SOON_SECONDS = 0.01
_SILENT_SECONDS = 3.0
_STALE_SECONDS = 1.0
# So many one after another may open the breaker: Redis is asked before each more is risked.
_MANY_FAILURES = 10
# Blocked for longer than this, those who wait for bulk work are sent away: their places are others'.
WORTH_WAITING_SECONDS = 2.0
_THROTTLED_SECONDS = 5.0
_FAILURES = {Outcome.FAILED_UPSTREAM, Outcome.AMBIGUOUS, Outcome.NOT_SENT}
# What a pump that has never heard from Redis takes itself to be one of.
_PUMPS_UNHEARD = 16
_PROBES = 3


@dataclass(slots=True)
class News:
    """What happened since Redis was told last."""

    ok: int = 0
    failed: int = 0
    undecided: int = 0
    throttled: int = 0
    retry_after_seconds: float = 0.0
    pause_seconds: float = 0.0
    token_delta: float = 0.0
    returned: int = 0
    retry_cost: int = 0
    taken: int = 0
    told: Told = NOTHING_TOLD


@dataclass(frozen=True, slots=True)
class Answer:
    """What Redis says: permits, and how the bucket stands."""

    granted: int = 0
    tokens_each: float = 0.0
    blocked_ms: float = 0.0
    paused_ms: float = 0.0
    breaker: str = "closed"
    opened: bool = False
    epoch: int = 0
    limit: int = 0
    in_flight: int = 0
    pumps: int = _PUMPS_UNHEARD
    budget: float = 500.0
    wait_ms: float = 100.0
    rate_per_second: float = 0.0
    tokens_per_second: float = 0.0
    is_slow: bool = False
    is_reserved: bool = False
    happened: str = ""
    is_bound: bool = False


@dataclass(slots=True)
class Waiter:
    """Somebody who waits for a permit; the future says whether one came."""

    future: asyncio.Future[bool]
    tokens: float


@dataclass(slots=True)
class Bucket:
    """`held` counts permits in use. A bucket that nothing bounds gives them out by itself."""

    key: str
    limits: BucketLimits
    has_breaker: bool
    is_interactive: bool
    held: int = 0
    pool: int = 0
    pool_tokens: float = 0.0
    waiters: deque[Waiter] = field(default_factory=deque)
    news: News = field(default_factory=News)
    said: Answer = field(default_factory=Answer)
    synced_at: float = float("-inf")
    next_at: float = float("inf")
    blocked_until: float = 0.0
    paused_until: float = 0.0
    throttled_at: float = float("-inf")
    usual_tokens: float = 0.0
    streak: int = 0
    local_requests: float = 0.0
    local_tokens: float = 0.0
    local_at: float | None = None

    def is_free(self, now: float) -> bool:
        """Nothing bounds it at present: no limit, no block, a closed breaker, as Redis said a moment ago."""
        said = self.said
        return (
            self.limits.is_unlimited
            and said.limit == 0
            and said.breaker == "closed"
            and not (said.is_slow or said.is_bound)
            and self.blocked_until <= now
            and self.streak < _MANY_FAILURES
            and not self._is_stale(now)
        )

    def _is_stale(self, now: float) -> bool:
        """What Redis said of an idle bucket may be over: others may have met a block since."""
        return float("-inf") < self.synced_at < now - _STALE_SECONDS

    def is_closed(self, now: float) -> bool:
        """Nobody gets through: blocked by the provider, paused, or the breaker is open."""
        return self.blocked_until > now

    def is_recovering(self) -> bool:
        """Few get through, to see whether it works again."""
        return self.said.breaker != "closed" or self.said.is_slow

    def was_throttled(self, now: float) -> bool:
        """Refused by the provider a moment ago, as far as this pump knows."""
        return now - self.throttled_at < _THROTTLED_SECONDS

    def take(self, tokens: float, now: float) -> bool:
        """A permit, when one is there and nobody waits before us."""
        if self.is_free(now):
            self._use(0.0, tokens)
            return True
        if tokens:
            self.usual_tokens += (tokens - self.usual_tokens) / 20 if self.usual_tokens else tokens
        if self.pool < 1 or self.waiters or self.is_closed(now):
            return False
        self._use_pool(tokens)
        return True

    def release(self, now: float) -> None:
        """The call has ended (or was not made): its place may be taken."""
        self.held -= 1
        self.next_at = min(self.next_at, self.synced_at + SYNC_SECONDS)
        if self.waiters and self.said.limit:
            if self._may_hand_on(now):
                waiter = self._next_waiter()
                if waiter:
                    self._use(0.0, waiter.tokens)
                    waiter.future.set_result(True)
                return
            self.soon()

    def give_back(self, tokens: float, now: float) -> None:
        """A permit that was not used after all."""
        self.news.token_delta -= tokens
        if not self.is_free(now):
            self.news.returned += 1
        self.release(now)

    def note(self, outcome: Outcome, *, epoch: int) -> None:
        """What a call came to that was begun in `epoch`; the breaker hears only of those of the present one."""
        if epoch != self.said.epoch:
            return
        if outcome is Outcome.OK or outcome is Outcome.REJECTED:
            self.news.ok += 1
            self.streak = 0
        elif outcome in _FAILURES:
            if self.has_breaker:
                self.news.failed += 1
                self.streak += 1
                self.soon()
        else:
            self.news.undecided += 1

    def throttle(self, retry_after_seconds: float | None, now: float) -> None:
        """The provider has refused for want of room: this pump knows at once, the others within a tenth of a second."""
        self.news.throttled += 1
        self.news.retry_after_seconds = max(self.news.retry_after_seconds, retry_after_seconds or 0.0)
        self.throttled_at = now
        self.blocked_until = max(self.blocked_until, now + (retry_after_seconds or WORTH_WAITING_SECONDS))
        self.soon()

    def is_due(self, now: float) -> bool:
        if self.held and now - self.synced_at > _SILENT_SECONDS:
            return True
        return now >= self.next_at

    def question(self, pump: str, now: float) -> dict[str, object]:
        """What Redis is told and asked; the news is handed over with it."""
        news, self.news = self.news, News()
        self._drop_unused(news)
        want, want_tokens = self._wanted(news, now)
        limits, told = self.limits, news.told
        return {
            "pump": pump, "is_known": self.synced_at > float("-inf"), "held": self.held + self.pool,
            "version": limits.version, "pause_ms": news.pause_seconds * 1000,
            "throttled": news.throttled, "retry_after_ms": news.retry_after_seconds * 1000, "chance": random.random(),  # noqa: S311 -- jitter
            "epoch": self.said.epoch, "ok": news.ok, "failed": news.failed, "undecided": news.undecided,
            "max_concurrency": limits.max_concurrency or 0, "has_breaker": self.has_breaker,
            "retry_cost": news.retry_cost, "requests_per_minute": limits.requests_per_minute or 0,
            "tokens_per_minute": limits.tokens_per_minute or 0, "returned": news.returned, "token_delta": news.token_delta,
            "told_requests": told.requests, "told_tokens": told.tokens, "left_requests": told.requests_left,
            "left_tokens": told.tokens_left, "hold_ms": told.hold_seconds * 1000, "want": want, "want_tokens": want_tokens,
            "is_interactive": self.is_interactive, "is_waiting": bool(self.waiters),
        }  # fmt: skip

    def hear(self, answer: Answer, now: float) -> None:
        """Take in what Redis said, and wake those whose permits have come."""
        if answer.epoch != self.said.epoch:
            # It was seen in an epoch that is over.
            self.news.ok = self.news.failed = self.news.undecided = self.streak = 0
        self.said, self.synced_at, self.local_at = answer, now, None
        if not (self.news.throttled or self.news.pause_seconds):
            # Else this pump knows of a block that Redis had not heard of when it answered.
            self.blocked_until = now + answer.blocked_ms / 1000 if answer.blocked_ms else 0.0
            self.paused_until = now + answer.paused_ms / 1000 if answer.paused_ms else 0.0
        self.pool += answer.granted
        self.pool_tokens += answer.granted * answer.tokens_each
        self.hand_out(now)
        if not self.is_interactive and self.blocked_until > now + WORTH_WAITING_SECONDS:
            self._send_away()
        if self.waiters or self.pool:
            self.next_at = now + max(SOON_SECONDS, min(SYNC_SECONDS, answer.wait_ms / 1000))
        elif self.news != News():
            # It came while Redis was being asked.
            self.next_at = now + SOON_SECONDS
        elif answer.is_slow or answer.is_bound:
            # What bounds it for a while is asked about until it is over.
            self.next_at = now + 1.0
        else:
            self.next_at = float("inf")

    def hand_out(self, now: float) -> None:
        """Permits in hand go to those who wait, the first one first."""
        while self.waiters and (self.pool or self.is_free(now)):
            waiter = self._next_waiter()
            if waiter is None:
                return
            if self.pool:
                self._use_pool(waiter.tokens)
            else:
                self._use(0.0, waiter.tokens)
            waiter.future.set_result(True)

    def share_locally(self, now: float) -> None:
        """Redis is away: half of this pump's part of the limits, never more. What nothing bounds stays unbounded."""
        pumps = max(1, self.said.pumps)
        elapsed = min(1.0, now - self.local_at) if self.local_at is not None else 0.0
        self.local_at = self.synced_at = now
        limits, said = self.limits, self.said
        grant = float(len(self.waiters))
        if limits.requests_per_minute:
            # Redis' own word, when it has one, is lower where the provider has told less.
            rate = min(limits.requests_per_minute / 60, said.rate_per_second or float("inf")) / pumps / 2
            self.local_requests = min(max(1.0, rate), self.local_requests + rate * elapsed)
            grant = min(grant, self.local_requests)
        if limits.tokens_per_minute:
            rate = min(limits.tokens_per_minute / 60, said.tokens_per_second or float("inf")) / pumps / 2
            self.local_tokens = min(rate, self.local_tokens + rate * elapsed)
            grant = min(grant, 1.0) if self.local_tokens > 0 else 0.0
        most = said.limit or limits.max_concurrency
        if most:
            grant = min(grant, max(0, max(1, most // (2 * pumps)) - self.held))
        if said.breaker != "closed":
            grant = min(grant, max(0, 1 - self.held))
        if self.is_closed(now):
            grant = 0.0
        self.pool = int(grant)
        self.pool_tokens = 0.0
        self.local_requests -= self.pool
        self.local_tokens -= sum(waiter.tokens for waiter in list(self.waiters)[: self.pool])
        self.hand_out(now)
        self.next_at = now + SYNC_SECONDS if self.waiters or self.held else float("inf")

    def allowance(self, now: float) -> int | None:
        """How many more calls may expect a permit within a second; None: as many as one likes."""
        if self.is_closed(now):
            return 0
        if self.is_free(now):
            return None
        if self._is_stale(now):
            self.next_at = now
        said, limits, found = self.said, self.limits, [float("inf")]
        pumps = max(1, said.pumps)
        if rate := said.rate_per_second or (limits.requests_per_minute or 0) / 60:
            found.append(rate / pumps)
        if rate := said.tokens_per_second or (limits.tokens_per_minute or 0) / 60:
            found.append(rate / max(1.0, self.usual_tokens) / pumps if self.usual_tokens else 10)
        if most := said.limit or limits.max_concurrency:
            # Its own part, or what nobody has; and a tenth ahead, so that a place that falls free is taken at once.
            found.append(max(most / pumps - self.held, most - said.in_flight) + most / pumps / 10)
        if said.breaker != "closed":
            found.append(_PROBES)
        if said.is_reserved:
            found.append(1)
        least = min(found)
        return max(0, (100 if least == float("inf") else ceil(least)) + self.pool - len(self.waiters))

    def soon(self) -> None:
        self.next_at = min(self.next_at, self.synced_at + SOON_SECONDS)

    def _may_hand_on(self, now: float) -> bool:
        """A place is passed on without asking Redis when only concurrency bounds, within this pump's fair part."""
        said, limits = self.said, self.limits
        if limits.has_rates or said.is_reserved or said.is_slow or said.is_bound or said.breaker != "closed":
            return False
        most = said.limit if self.is_interactive else said.limit * 0.9
        return not self.news.throttled and not self.is_closed(now) and self.held + 1 <= most / max(1, said.pumps)

    def _next_waiter(self) -> Waiter | None:
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.future.done():
                return waiter
        return None

    def _send_away(self) -> None:
        while waiter := self._next_waiter():
            waiter.future.set_result(False)

    def _use_pool(self, tokens: float) -> None:
        each = self.pool_tokens / self.pool
        self.pool -= 1
        self.pool_tokens -= each
        self._use(each, tokens)

    def _use(self, reserved: float, tokens: float) -> None:
        self.held += 1
        self.news.taken += 1
        self.news.token_delta += tokens - reserved
        self.next_at = min(self.next_at, self.synced_at + SYNC_SECONDS)

    def _drop_unused(self, news: News) -> None:
        if self.pool and not news.taken:
            news.returned += self.pool
            news.token_delta -= self.pool_tokens
            self.pool, self.pool_tokens = 0, 0.0

    def _wanted(self, news: News, now: float) -> tuple[int, float]:
        """Those who wait and, where only rates bound, what the next 100 ms will need at the present pace."""
        if self.is_free(now):
            return 0, 0.0
        ahead = 0
        if not (self.said.limit or self.is_recovering()) and news.taken:
            ahead = int(min(500.0, news.taken * SYNC_SECONDS / max(SYNC_SECONDS, now - self.synced_at)))
        want = max(0, len(self.waiters) + ahead - self.pool)
        tokens = sum(waiter.tokens for waiter in self.waiters)
        each = tokens / len(self.waiters) if self.waiters else self.said.tokens_each
        return want, want * each
