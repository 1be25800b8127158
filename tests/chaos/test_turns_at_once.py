"""Many turns at once by two web processes while their collection is indexed anew: one context for one state, no turn lost, by all policies.

Once undisturbed, once with two workers and a web process killed in between.

pytest -m chaos tests/chaos/test_turns_at_once.py
"""

import itertools
import json
import os
import signal
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import psutil
import pytest
from django.db import connection

from apps.conversations.models import Conversation, Turn, TurnState
from apps.jobs.actions import sweep
from apps.jobs.models import Item
from apps.knowledge.models import Collection, Pin
from apps.knowledge.queries import read_cited
from apps.lib.ids import uuid7
from apps.lib.ports import free_port
from apps.spend.models import Charge
from apps.traces.queries import read_bodies
from tests.chaos.workers import claiming_pids, until, web, worker
from tests.factories.accounts import make_workspace
from tests.factories.knowledge import make_collection, make_document
from tests.jobs.calls.callers import make_callable, make_secret
from tests.journeys.live import running_parts
from tests.journeys.test_conversations import Api

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos, pytest.mark.timeout(900)]
CONVERSATIONS, TURNS = 20, 10
POLICIES = ("retry", "retry", "fork", "reject")


# What whoever sent a turn sees of a web process that is killed: nobody there, or a connection that breaks.
BROKEN = (URLError, HTTPException, ConnectionError)


class Speaker:
    """Sends turns to one conversation by one policy, as a program would that means what it says; every other turn to the other door."""

    def __init__(self, doors: Sequence[Api], conversation: dict[str, Any], policy: str) -> None:
        self.doors, self.path, self.policy, self.first_state = doors, f"/{conversation['id']}", policy, conversation["state"]
        self.rejected = self.broken = 0

    def say(self, turn: int) -> str:
        """The resolution of the turn that was answered."""
        while True:
            body: dict[str, Any] = {"input": "When is money paid back?", "on_conflict": self.policy, "stream": turn % 4 >= 2}
            if self.policy == "fork":
                body["state"] = self.first_state
            if self.policy == "reject":
                body["state"] = self._through_any(turn, self.path)["state"]
            try:
                # Sent again under its key, it is the same turn, whichever process takes it.
                return str(self._through_any(turn, f"{self.path}/turns", body, uuid7().hex)["resolution"])
            except HTTPError as error:
                if error.code != 409 or json.loads(error.read())["code"] != "conversation_conflict":
                    raise
                self.rejected += 1

    def _through_any(self, turn: int, path: str, body: dict[str, Any] | None = None, key: str = "") -> dict[str, Any]:
        """By the turn's own door, or the next one when it is broken."""
        for door in itertools.islice(itertools.cycle(self.doors), turn, turn + 20):
            try:
                return told_by(door, path, body, key)
            except HTTPError:
                raise
            except BROKEN:
                self.broken += 1
        message = "no web process answered"
        raise AssertionError(message)


def told_by(door: Api, path: str, body: dict[str, Any] | None, key: str) -> dict[str, Any]:
    """The answer; of a stream its last event, without which it broke off."""
    if body is None or not body["stream"]:
        told: dict[str, Any] = door.send(path, body, **({"Idempotency-Key": key} if key else {}))
        return told
    headers = door.headers | {"Idempotency-Key": key}
    with urlopen(Request(door.url + path, data=json.dumps(body).encode(), headers=headers), timeout=600) as answer:
        events = answer.read().decode().split("\n\n")
    last = next((event for event in events if event.startswith("event: turn\n")), "")
    if not last:
        message = "a stream without an end"
        raise ConnectionError(message)
    turn: dict[str, Any] = json.loads(last.split("data: ", 1)[1])
    return turn


def index_for_ever(collection: Collection, is_over: threading.Event) -> int:
    """New versions of the same documents, one after another; how many."""
    made = 0
    try:
        for number in itertools.count():
            if is_over.is_set():
                break
            make_document(
                f"Money is paid back within {number} days, as of edition {number}.", collection=collection, name=f"{number % 5}.txt"
            )
            made += 1
    finally:
        connection.close()
    return made


def kill_workers_and_web(sent: list[Any], second: psutil.Process) -> None:
    """Twice a pump that is at work, whose items the sweep gives to another one; between them a web process, with all that wait there."""
    for wanted in (len(sent) // 4, len(sent) // 2):
        until(partial(_are_done, sent, wanted), "turns were answered", meanwhile=sweep)
        until(_kill_a_pump, "there was a pump to kill")
        if second.is_running():
            second.kill()
            second.wait()


def _kill_a_pump() -> bool:
    for pid in claiming_pids("exec-interactive"):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return True
    return False


def _are_done(sent: list[Any], wanted: int) -> bool:
    return sum(one.done() for one in sent) >= wanted


def requests_of(turns: list[Turn]) -> dict[Any, str]:
    """By turn: what its model was told last."""
    bodies = {item.id: bytes(item.request_body_id) for item in Item.objects.filter(id__in=[turn.item_id for turn in turns])}
    contents = read_bodies(list(bodies.values()))
    return {turn.id: json.loads(contents[bodies[turn.item_id]])["messages"][-1]["content"] for turn in turns}


@pytest.mark.parametrize("kills", [pytest.param(False, marks=pytest.mark.long), True])
def test_one_context_for_one_state_and_no_turn_lost(kills: bool, tmp_path: Path) -> None:  # noqa: FBT001 -- a parameter
    collection = make_collection(make_workspace("acme"), name="rules")
    make_document("Money is paid back within 30 days.", collection=collection)
    is_over, port = threading.Event(), free_port()
    with (
        running_parts(tmp_path, "web") as live,
        ExitStack() as doors,
        worker("exec-interactive"),
        worker("exec-interactive"),
        ThreadPoolExecutor(CONVERSATIONS * TURNS + 2) as threads,
    ):
        second = doors.enter_context(web(port))
        make_callable(base_url=live.provider_url)
        secret = make_secret("acme")
        both = [Api(live, secret), Api(replace(live, url=f"http://127.0.0.1:{port}"), secret)]
        made = [both[0].send(body={"model": "small", "collection": "rules", "window_tokens": 2048}) for _ in range(CONVERSATIONS)]
        speakers = [Speaker(both, one, POLICIES[number % len(POLICIES)]) for number, one in enumerate(made)]
        indexing = threads.submit(index_for_ever, collection, is_over)
        try:
            # All at once, ten for each conversation: they begin in the same state again and again.
            sent = [threads.submit(speaker.say, turn) for turn in range(TURNS) for speaker in speakers]
            if kills:
                kill_workers_and_web(sent, second)
                doors.enter_context(web(port))
            until(lambda: all(one.done() for one in sent), "all turns were answered", seconds=600, meanwhile=sweep)
            resolutions = Counter(one.result() for one in sent)
        finally:
            is_over.set()
        editions = indexing.result()
    own = list(Turn.objects.filter(copied_from_id=None, state=TurnState.ANSWERED))
    assert (len(own), Turn.objects.exclude(state=TurnState.ANSWERED).count()) == (CONVERSATIONS * TURNS, 0)
    assert (Item.objects.filter(id__in=[turn.item_id for turn in own]).count(), Charge.objects.count()) == (len(own), len(own))
    _check_contexts(own)
    _check_chains()
    rejected, broken = sum(speaker.rejected for speaker in speakers), sum(speaker.broken for speaker in speakers)
    told = ", ".join(f"{name or 'no conflict'} {count}" for name, count in sorted(resolutions.items()))
    killed = "two pumps and a web process" if kills else "none"
    sys.stdout.write(
        f"\nTurns by two web processes, {killed} killed: {len(own)} of {CONVERSATIONS} conversations, {editions} editions indexed;"
        f" {told}, {rejected} rejected and sent again, {broken} sent again on another connection; mixed snapshots 0, lost 0,"
        f" charges {Charge.objects.count()}\n"
    )
    assert resolutions["forked"] > 0
    assert resolutions["waited"] + resolutions["moved"] > 0
    assert rejected > 0
    assert broken > 0 or not kills
    assert editions > 1


def _check_contexts(turns: list[Turn]) -> None:
    """One snapshot for a state and a question, the pinned one, and what the model was told is what stands in it."""
    found: dict[tuple[bytes, str], set[str]] = defaultdict(set)
    for turn in turns:
        found[bytes(turn.previous_hash), turn.query_key].add(turn.snapshot_id)
    assert [len(snapshots) for snapshots in found.values() if len(snapshots) > 1] == []
    pins = {(pin.scope, pin.query_key): pin.snapshot_id for pin in Pin.objects.all()}
    assert {(state.hex(), key): next(iter(snapshots)) for (state, key), snapshots in found.items()}.items() <= pins.items()
    told = requests_of(turns)
    passages = read_cited(make_workspace("acme").id, [turn.snapshot_id for turn in turns])
    for turn in turns:
        first = passages[turn.snapshot_id][0]
        assert f'<passage id="1" source="{first.document}, {first.anchor}">\n{first.text}' in told[turn.id]


def _check_chains() -> None:
    for conversation in Conversation.objects.all():
        turns = list(conversation.turns.order_by("number"))
        assert [turn.number for turn in turns] == list(range(1, conversation.version + 1))
        assert [bytes(turn.previous_hash) for turn in turns[1:]] == [bytes(turn.hash or b"") for turn in turns[:-1]]
        assert bytes(conversation.tip_hash) == bytes(turns[-1].hash or b"")
