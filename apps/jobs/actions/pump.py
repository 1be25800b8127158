"""The pump's loop: claims items, keeps a sliding window of calls in the air, settles outcomes in groups.

The calls share one event loop; claim, settle and renew have a thread with a database connection each, so that no transaction is
open while a provider thinks and the loop never waits for Postgres. In flight and unsettled stay within the window together,
so that a killed pump leaves few items whose fate nobody knows.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from django.conf import settings

from apps.accounts.queries import workspaces_without_failover
from apps.jobs.actions.ask_item import Means, ask_item
from apps.jobs.actions.claim import Mark, claim_items, claim_suspects, ready_lanes
from apps.jobs.actions.database_thread import DatabaseThread
from apps.jobs.actions.keep_transitions import keep_transitions
from apps.jobs.actions.listen import listen_for_wakes
from apps.jobs.actions.release import release_items
from apps.jobs.actions.renew import renew_leases, renew_pump
from apps.jobs.actions.ring import ring
from apps.jobs.actions.settle_apart import settle_apart
from apps.jobs.actions.tell_chunks import ChunkTeller
from apps.jobs.actions.tool_threads import ToolThreads
from apps.jobs.domain.claimed import ClaimedItem, Finished
from apps.jobs.domain.fairness import ModelBounds, next_group
from apps.jobs.domain.lifecycle import Lane
from apps.jobs.domain.retry import Decision
from apps.jobs.domain.tally import Tally
from apps.jobs.models import PUMP_RENEW_SECONDS, PumpState
from apps.lib.background import INFRASTRUCTURE_ERRORS
from apps.lib.enqueue import enqueue
from apps.lib.shutdown import is_stopping
from apps.providers.actions import Gate, SharedAnswers, open_session
from apps.providers.domain.calls import Completion
from apps.providers.domain.dearest import Quoter
from apps.providers.domain.outcomes import Outcome
from apps.providers.queries import load_catalogue
from apps.spend.queries import load_price_book

if TYPE_CHECKING:
    from decimal import Decimal

    import aiohttp

    from apps.jobs.domain.settlement import Settlement

log = structlog.get_logger(__name__)

_POLL_SECONDS = 1.0
_TICK_SECONDS = 1.0
_PATIENCE_SECONDS = 0.2
_GROUP_ITEMS = 150
_GROUP_SECONDS = 0.03
_RING_AGAIN_SECONDS = 10.0
_LOOK_AGAIN_SECONDS = 1.0
# How long outcomes are kept for a database that does not answer. Their leases run out meanwhile, so longer is no use.
_HOLD_SECONDS = 300.0
# A pump that can't ring its successor goes on this long past its age, and then drains within Celery's hard limit.
_OVERTIME_SECONDS = 30.0


class PumpLoop:
    """One pump's state; `run` is its life."""

    def __init__(
        self, *, pump_id: UUID, worker_set: str, lanes: Sequence[Lane], lane: str, is_isolating: bool, clock: Callable[[], datetime]
    ) -> None:
        self.pump_id = pump_id
        self.worker_set = worker_set
        self.lanes = [item.value for item in lanes]
        self.lane = lane
        self.is_isolating = is_isolating
        self.clock = clock
        self.window = settings.JOBS_MAX_IN_FLIGHT
        self.is_standing = worker_set == "exec-interactive" and not is_isolating
        self.tally = Tally()
        self.held: dict[UUID, ClaimedItem] = {}
        self.finished: list[Finished] = []
        self.calls: set[asyncio.Task[None]] = set()
        self.is_draining = False
        self.turn = 0
        self.marks: dict[UUID, Mark] = {}
        self.allowances: dict[UUID, int] = {}
        self.amounts: dict[UUID, Decimal] = {}
        self.started = time.monotonic()
        self.busy_at = self.started
        self.claimed_at = self.started
        self.stopping_at: float | None = None
        self.settling: set[UUID] = set()

    async def run(self) -> None:
        """Claim until it is time to end, then see what is held through."""
        self.wake = asyncio.Event()
        self.has_finished = asyncio.Event()
        self.looking = asyncio.Lock()
        async with AsyncExitStack() as stack:
            self.claims, self.settles, self.renewals = [
                stack.enter_context(DatabaseThread(f"pump-{role}")) for role in ("claim", "settle", "renew")
            ]
            await self._load_tables()
            self.session: aiohttp.ClientSession = await stack.enter_async_context(open_session(max_connections=self.window))
            self.shared, self.chunks = SharedAnswers(), ChunkTeller()
            self.tools = stack.enter_context(ToolThreads())
            self.gate = await stack.enter_async_context(Gate(pump_id=self.pump_id, is_interactive=self.worker_set == "exec-interactive"))
            self.gate.follow(self.catalogue)
            async with asyncio.TaskGroup() as loops:
                listening = loops.create_task(listen_for_wakes(self.worker_set, self.wake))
                renewing = loops.create_task(self._renew_for_ever())
                settling = loops.create_task(self._settle_for_ever())
                telling = loops.create_task(self.chunks.send_for_ever())
                try:
                    await self._claim_until_over()
                finally:
                    for task in (listening, renewing, settling, telling):
                        task.cancel()
            with suppress(*INFRASTRUCTURE_ERRORS):
                await self._record_transitions()

    # --- claim ------------------------------------------------------------------------------------------------------

    async def _claim_until_over(self) -> None:
        while not self._is_over():
            room = self.window - len(self.held)
            if self.is_draining or is_stopping():
                await self._give_back_when_late()
                await self._wait(_POLL_SECONDS)
                continue
            if room < self._least_room():
                # Long calls free few slots at a time: those are used after a moment as well.
                await self._wait(_PATIENCE_SECONDS)
                if room <= 0 or time.monotonic() - self.claimed_at < _PATIENCE_SECONDS:
                    continue
            try:
                claimed = await self._claim(room)
            except INFRASTRUCTURE_ERRORS as error:
                log.warning("claim_failed", error=str(error))
                self.busy_at = time.monotonic()
                await asyncio.sleep(_POLL_SECONDS)
                continue
            for item in claimed:
                self._start(item)
            if claimed:
                # They may have ended before the next look: what dies of its budget is not asked at all.
                self.busy_at = time.monotonic()
            if len(claimed) < room:
                await self._wait(_POLL_SECONDS / 5 if claimed or 0 in self.allowances.values() else _POLL_SECONDS)

    async def _claim(self, room: int) -> list[ClaimedItem]:
        self.turn += 1
        self.claimed_at = time.monotonic()
        self.wake.clear()
        if self.is_isolating:
            return [] if self.held else await self.claims.do(claim_suspects, pump_id=self.pump_id, lanes=self.lanes, quoter=self.quoter)
        batches = sum(item.kind != "single" for item in self.held.values()) if self.is_standing else 0
        batch_room = max(0, self.window // 2 - batches)
        bounded = self.gate.allowances(self.catalogue)
        self.allowances = {model_id: allowance for model_id, allowance in bounded.items() if allowance < room}
        if any(allowance == 0 for model_id, allowance in self.allowances.items() if model_id not in self.catalogue.idle_models):
            # Work may wait for a limit: a pump that ended now would be rung again at once.
            self.busy_at = time.monotonic()
        bounds = ModelBounds.of(self.allowances, names={model_id: name for name, model_id in self.catalogue.ids.items()})
        claimed = await self.claims.do(
            claim_items, pump_id=self.pump_id, lanes=self.lanes, room=room, batch_room=batch_room, turn=self.turn, marks=self.marks,
            bounds=bounds, quoter=self.quoter, amounts=self.amounts,
        )  # fmt: skip
        for item in claimed:
            if item.reserved_usd is not None:
                self.amounts[item.job_id] = item.reserved_usd
            if item.kind != "single":
                mark = (item.ready_at, item.item_id)
                self.marks[item.job_id] = max(mark, self.marks.get(item.job_id, mark))
        return claimed

    async def _give_back_when_late(self) -> None:
        """A worker that was told to stop has little time: what is still in the air when it is used up is given back uncounted."""
        if self.stopping_at is None and is_stopping():
            self.stopping_at = time.monotonic()
            await self._make_room()
        if self.stopping_at is None or not self.calls or time.monotonic() - self.stopping_at < settings.JOBS_DRAIN_SECONDS:
            return
        for call in list(self.calls):
            call.cancel()
        await asyncio.gather(*self.calls, return_exceptions=True)
        ended = {finished.item.item_id for finished in self.finished} | self.settling
        unsent = [item for item in self.held.values() if item.item_id not in ended]
        log.info("items_given_back", items=await self.claims.do(release_items, unsent, now=self.clock()))
        for item in unsent:
            self.held.pop(item.item_id, None)

    async def _make_room(self) -> None:
        """While what is in the air ends, which may take as long as the longest call, others take this pump's place."""
        self.is_draining = True
        with suppress(*INFRASTRUCTURE_ERRORS):
            await self._renew_pump()
            for lane in await self.renewals.do(ready_lanes, self.lanes):
                await self.renewals.do(ring, lane=lane)

    def _least_room(self) -> int:
        """Small claims cost as much as big ones: a busy pump waits until a twentieth of its window is free."""
        return max(1, self.window // 20) if self.held and not self.is_standing else 1

    def _is_over(self) -> bool:
        if self.held:
            self.busy_at = time.monotonic()
            return False
        if self.is_draining or is_stopping():
            return True
        return not self.is_standing and time.monotonic() - self.busy_at >= settings.JOBS_IDLE_SECONDS

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.wake.wait()
        self.wake.clear()

    # --- call -------------------------------------------------------------------------------------------------------

    def _start(self, item: ClaimedItem) -> None:
        self.held[item.item_id] = item
        task = asyncio.create_task(self._run_item(item))
        self.calls.add(task)
        task.add_done_callback(self.calls.discard)

    async def _run_item(self, item: ClaimedItem) -> None:
        try:
            fails_over = item.policy.has_failover and item.workspace_id not in self.without_failover
            means = Means(self.session, self.gate, self.clock, self.shared, self.chunks, self.tools)
            await self._look_for(item.model_id)
            completion = await ask_item(item, means, catalogue=self.catalogue if fails_over else self.first_targets)
        except Exception:
            # A defect of ours must not leave the item held for ever; whether it was sent is not known.
            log.exception("run_failed", run_id=str(item.run_id), job_id=str(item.job_id))
            completion = Completion(
                outcome=Outcome.AMBIGUOUS, error_code="internal_error", error_message="The platform failed; its log says how."
            )
        self.finished.append(Finished(item=item, completion=completion, ended_at=self.clock()))
        self.has_finished.set()

    # --- settle -----------------------------------------------------------------------------------------------------

    async def _settle_for_ever(self) -> None:
        while True:
            await self.has_finished.wait()
            self.has_finished.clear()
            if not self.is_standing and len(self.finished) < _GROUP_ITEMS:
                await asyncio.sleep(_GROUP_SECONDS)
            while self.finished:
                group, self.finished = next_group(self.finished, _GROUP_ITEMS)
                await self._settle(group)
                if len(self.finished) < _GROUP_ITEMS and not self.is_standing:
                    break
            if self.finished:
                self.has_finished.set()

    async def _settle(self, group: list[Finished]) -> None:
        given_up_at = time.monotonic() + _HOLD_SECONDS
        self.settling = {finished.item.item_id for finished in group}
        while True:
            try:
                settled = await self.settles.do(settle_apart, group, pump_id=self.pump_id, prices=self.prices)
                break
            except INFRASTRUCTURE_ERRORS as error:
                if time.monotonic() > given_up_at:
                    raise
                log.warning("settle_failed", items=len(group), error=str(error))
                await asyncio.sleep(_POLL_SECONDS)
        self._count(settled)
        for finished in group:
            self.held.pop(finished.item.item_id, None)
            if finished.item.answer_key is not None:
                self.shared.forget(finished.item.answer_key, finished.item.run_id)
        self.settling = set()
        self.wake.set()

    def _count(self, settled: "Sequence[Settlement]") -> None:
        for settlement in settled:
            self.tally.add(
                settlement.finished.item.job_id,
                is_done=settlement.decision is Decision.DONE,
                is_dead=settlement.decision is Decision.DEAD,
                cost_usd=settlement.cost_usd,
            )
            if settlement.decision is Decision.GO_ON:
                # It has kept its place, before the mark.
                self.marks.pop(settlement.finished.item.job_id, None)

    # --- stay alive, hand over --------------------------------------------------------------------------------------

    async def _record_transitions(self) -> None:
        """What happened to providers, as rows that people read."""
        happened = list(self.gate.happened)
        if happened:
            await self.renewals.do(keep_transitions, happened)
            for _ in happened:
                self.gate.happened.popleft()

    async def _renew_for_ever(self) -> None:
        leases_at = tables_at = pump_at = time.monotonic()
        rung_at = float("-inf")
        while True:
            await asyncio.sleep(min(_TICK_SECONDS, settings.JOBS_RENEW_SECONDS))
            now = time.monotonic()
            try:
                if now - leases_at >= settings.JOBS_RENEW_SECONDS:
                    await self.renewals.do(renew_leases, [(item.item_id, item.run_id) for item in list(self.held.values())])
                    # Only now: after a failure it is tried again at the next tick, before the sweep takes the items for lost.
                    leases_at = now
                is_old = now - self.started > settings.JOBS_PUMP_SECONDS
                if is_old or now - pump_at >= PUMP_RENEW_SECONDS:
                    pump_at = now
                    self.marks = {}
                    await self._renew_pump()
                await self._record_transitions()
                if now - tables_at >= settings.PROVIDERS_RELOAD_SECONDS:
                    tables_at = now
                    await self._load_tables()
                    self.gate.follow(self.catalogue)
            except INFRASTRUCTURE_ERRORS as error:
                log.warning("renew_failed", error=str(error))
                continue
            if is_old and not self.is_draining and now - rung_at >= _RING_AGAIN_SECONDS:
                rung_at = now
                await self.renewals.do(enqueue, "jobs.run_items", queue=self.lane, lane=self.lane, replaces=str(self.pump_id))
            self.is_draining = self.is_draining or now - self.started > settings.JOBS_PUMP_SECONDS + _OVERTIME_SECONDS

    async def _renew_pump(self) -> None:
        state = PumpState.DRAINING if self.is_draining else PumpState.CLAIMING
        has_successor = await self.renewals.do(
            renew_pump, pump_id=self.pump_id, state=state, in_flight=len(self.held), done=self.tally.done, dead=self.tally.dead
        )
        if has_successor and not self.is_draining:
            log.info("pump_replaced", in_flight=len(self.held))
            self.is_draining = True

    async def _look_for(self, model_id: UUID) -> None:
        """A model that is newer than the tables in memory: they are read again, once a second at most for all that miss one."""
        if self.catalogue.knows(model_id):
            return
        missed_at = time.monotonic()
        async with self.looking:
            if self.loaded_at >= missed_at:
                return
            await asyncio.sleep(self.loaded_at + _LOOK_AGAIN_SECONDS - missed_at)
            with suppress(*INFRASTRUCTURE_ERRORS):
                await self._load_tables()
                self.gate.follow(self.catalogue)

    async def _load_tables(self) -> None:
        began_at = time.monotonic()
        # Reads the clock of Postgres, which the event loop may not wait for.
        await self.renewals.do(self.clock)
        self.catalogue = await self.renewals.do(load_catalogue)
        self.first_targets = self.catalogue.without_failover()
        self.without_failover = await self.renewals.do(workspaces_without_failover)
        self.prices = await self.renewals.do(load_price_book)
        self.quoter = Quoter(self.catalogue, self.prices)
        self.loaded_at = began_at
