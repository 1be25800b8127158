"""One bucket as one pump sees it: permits in hand, who waits, and what Redis has not heard yet. No I/O."""

import random
from collections import deque
from dataclasses import dataclass, field
from math import ceil
from statistics import median

from apps.providers.domain.limits import NO_TOKENS, BucketLimits, Size
from apps.providers.domain.outcomes import Outcome
from apps.providers.limits.talk import Answer, News, Waiter

SYNC_SECONDS = 0.1
SOON_SECONDS = 0.01
_SILENT_SECONDS = 3.0
_STALE_SECONDS = 1.0
# So many one after another may open the breaker: Redis is asked before each more is risked.
_MANY_FAILURES = 10
# So many failures without an answer between them, whoever asked: the target is down, and no item is to blame.
_DOWN_AFTER = 3
# An answer is late that takes so many times as long as usual, and so much longer.
_LATE_TIMES, _LATE_MS = 3, 1000
_MOST_TIMED = 500
# Blocked for longer than this, those who wait for bulk work are sent away: their places are others'.
WORTH_WAITING_SECONDS = 2.0
_THROTTLED_SECONDS = 5.0
_FAILURES = {Outcome.FAILED_UPSTREAM, Outcome.AMBIGUOUS, Outcome.NOT_SENT}
_PROBES = 3


@dataclass(slots=True)
class Bucket:
    """`held` counts permits in use. A bucket that nothing bounds gives them out by itself."""

    key: str
    limits: BucketLimits
    has_breaker: bool
    is_interactive: bool
    held: int = 0
    pool: int = 0
    pool_input: float = 0.0
    pool_output: float = 0.0
    waiters: deque[Waiter] = field(default_factory=deque)
    news: News = field(default_factory=News)
    said: Answer = field(default_factory=Answer)
    synced_at: float = float("-inf")
    next_at: float = float("inf")
    blocked_until: float = 0.0
    paused_until: float = 0.0
    throttled_at: float = float("-inf")
    usual: Size = NO_TOKENS
    streak: int = 0
    local_requests: float = 0.0
    local: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
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

    def is_down(self) -> bool:
        """It has done nothing but fail of late, as far as anybody knows. Few calls show that sooner than they open a breaker."""
        return not self.news.ok and self.said.row + self.news.failed >= _DOWN_AFTER

    def was_throttled(self, now: float) -> bool:
        """Refused by the provider a moment ago, as far as this pump knows."""
        return now - self.throttled_at < _THROTTLED_SECONDS

    def take(self, size: Size, now: float) -> bool:
        """A permit, when one is there and nobody waits before us."""
        if self.is_free(now):
            self._use(size)
            return True
        if size is not NO_TOKENS:
            usual = self.usual
            self.usual = Size(usual[0] + (size[0] - usual[0]) / 20, usual[1] + (size[1] - usual[1]) / 20) if usual[0] else size
        if self.pool < 1 or self.waiters or self.is_closed(now):
            return False
        self._use_pool(size)
        return True

    def release(self, now: float) -> None:
        """The call has ended (or was not made): its place may be taken."""
        self.held -= 1
        self.next_at = min(self.next_at, self.synced_at + SYNC_SECONDS)
        if self.waiters and self.said.limit:
            if self._may_hand_on(now):
                waiter = self._next_waiter()
                if waiter:
                    self._use(waiter.size)
                    waiter.future.set_result(True)
                return
            self.soon()

    def give_back(self, size: Size, now: float) -> None:
        """A permit that was not used after all."""
        self.news.refund(size)
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

    def note_undecided(self, *, epoch: int) -> None:
        """A call that says nothing of the target."""
        if epoch == self.said.epoch:
            self.news.undecided += 1

    def time(self, seconds: float, tokens: int) -> None:
        """How long a good answer took. It is late when that is far beyond the usual in all and for each token: long answers take long."""
        said, took = self.said, (seconds * 1000, seconds * 1000 / max(1, tokens))
        if len(self.news.took) < _MOST_TIMED:
            self.news.took.append(took)
            self.news.late += bool(
                said.usual_ms
                and took[0] > max(_LATE_TIMES * said.usual_ms, said.usual_ms + _LATE_MS)
                and took[1] > _LATE_TIMES * said.usual_token_ms
            )

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
        want, wanted = self._wanted(news, now)
        limits, told = self.limits, news.told
        return {
            "pump": pump, "is_known": self.synced_at > float("-inf"), "held": self.held + self.pool,
            "version": limits.version, "pause_ms": news.pause_seconds * 1000,
            "throttled": news.throttled, "retry_after_ms": news.retry_after_seconds * 1000, "chance": random.random(),  # noqa: S311 -- jitter
            "epoch": self.said.epoch, "ok": news.ok, "failed": news.failed, "undecided": news.undecided,
            "max_concurrency": limits.max_concurrency or 0, "has_breaker": self.has_breaker,
            "retry_cost": news.retry_cost, "requests_per_minute": limits.requests_per_minute or 0,
            "tokens_per_minute": limits.tokens_per_minute or 0, "input_tokens_per_minute": limits.input_tokens_per_minute or 0,
            "output_tokens_per_minute": limits.output_tokens_per_minute or 0, "returned": news.returned,
            "input_delta": news.input_delta, "output_delta": news.output_delta,
            "told_requests": told.requests, "told_tokens": told.tokens, "told_input_tokens": told.input_tokens,
            "told_output_tokens": told.output_tokens, "left_requests": told.requests_left, "left_tokens": told.tokens_left,
            "left_input_tokens": told.input_tokens_left, "left_output_tokens": told.output_tokens_left,
            "hold_ms": told.hold_seconds * 1000, "want": want, "want_input": wanted.input, "want_output": wanted.output,
            "is_interactive": self.is_interactive, "is_waiting": bool(self.waiters),
            "timed": len(news.took), "late": news.late,
            "took_ms": median(took[0] for took in news.took) if news.took else 0,
            "token_ms": median(took[1] for took in news.took) if news.took else 0,
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
        self.pool_input += answer.granted * answer.input_each
        self.pool_output += answer.granted * answer.output_each
        self.hand_out(now)
        if not self.is_interactive and self.blocked_until > now + WORTH_WAITING_SECONDS:
            self.send_away()
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
                self._use_pool(waiter.size)
            else:
                self._use(waiter.size)
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
        for n, (per_minute, per_second) in enumerate(self._token_rates()):
            if per_minute:
                rate = min(per_minute / 60, per_second or float("inf")) / pumps / 2
                self.local[n] = min(rate, self.local[n] + rate * elapsed)
                grant = min(grant, 1.0) if self.local[n] > 0 else 0.0
        most = said.limit or limits.max_concurrency
        if most:
            grant = min(grant, max(0, max(1, most // (2 * pumps)) - self.held))
        if said.breaker != "closed":
            grant = min(grant, max(0, 1 - self.held))
        if self.is_closed(now):
            grant = 0.0
        self.pool = int(grant)
        self.pool_input = self.pool_output = 0.0
        self.local_requests -= self.pool
        for waiter in list(self.waiters)[: self.pool]:
            self.local = [left - tokens for left, tokens in zip(self.local, _counts(waiter.size), strict=True)]
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
        is_usual_known = self.usual is not NO_TOKENS
        for (per_minute, per_second), usual in zip(self._token_rates(), _counts(self.usual), strict=True):
            if rate := per_second or (per_minute or 0) / 60:
                found.append(rate / max(1.0, usual) / pumps if is_usual_known else 10)
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

    def _token_rates(self) -> tuple[tuple[int | None, float], ...]:
        """(our limit a minute, what Redis grants a second) of tokens together, of input and of output; as `_counts` has them."""
        limits, said = self.limits, self.said
        return (
            (limits.tokens_per_minute, said.tokens_per_second),
            (limits.input_tokens_per_minute, said.input_per_second),
            (limits.output_tokens_per_minute, said.output_per_second),
        )

    def _next_waiter(self) -> Waiter | None:
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.future.done():
                return waiter
        return None

    def send_away(self) -> None:
        """Those who wait get no permit."""
        while waiter := self._next_waiter():
            waiter.future.set_result(False)

    def _use_pool(self, size: Size) -> None:
        """What Redis has booked for the permit is taken off what the call is estimated to use."""
        news, part = self.news, 1 / self.pool
        booked_input, booked_output = self.pool_input * part, self.pool_output * part
        self.pool -= 1
        self.pool_input -= booked_input
        self.pool_output -= booked_output
        news.input_delta -= booked_input
        news.output_delta -= booked_output
        self._use(size)

    def _use(self, size: Size) -> None:
        self.held += 1
        self.news.taken += 1
        if size is not NO_TOKENS:
            self.news.charge(size)
        self.next_at = min(self.next_at, self.synced_at + SYNC_SECONDS)

    def _drop_unused(self, news: News) -> None:
        if self.pool and not news.taken:
            news.returned += self.pool
            news.refund(Size(self.pool_input, self.pool_output))
            self.pool, self.pool_input, self.pool_output = 0, 0.0, 0.0

    def _wanted(self, news: News, now: float) -> tuple[int, Size]:
        """Those who wait and, where only rates bound, what the next 100 ms will need at the present pace."""
        if self.is_free(now):
            return 0, NO_TOKENS
        ahead = 0
        if not (self.said.limit or self.is_recovering()) and news.taken:
            ahead = int(min(500.0, news.taken * SYNC_SECONDS / max(SYNC_SECONDS, now - self.synced_at)))
        want = max(0, len(self.waiters) + ahead - self.pool)
        if not self.waiters:
            return want, Size(want * self.said.input_each, want * self.said.output_each)
        part = want / len(self.waiters)
        return want, Size(part * sum(one.size.input for one in self.waiters), part * sum(one.size.output for one in self.waiters))


def _counts(size: Size) -> tuple[float, float, float]:
    """Together, and apart."""
    return size.input + size.output, size.input, size.output
