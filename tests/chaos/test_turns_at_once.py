"""Many turns at once while their collection is indexed anew: one context for one state, no turn lost, conflicts resolved as stated.

pytest -m chaos tests/chaos/test_turns_at_once.py
"""

import itertools
import json
import os
import signal
import sys
import threading
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from django.db import connection

from apps.conversations.models import Conversation, Turn, TurnState
from apps.jobs.actions import sweep
from apps.jobs.models import Item
from apps.knowledge.models import Collection, Pin
from apps.knowledge.queries import read_cited
from apps.spend.models import Charge
from apps.traces.queries import read_bodies
from tests.chaos.workers import claiming_pids, until, worker
from tests.factories.accounts import make_workspace
from tests.factories.knowledge import make_collection, make_document
from tests.jobs.calls.callers import make_callable, make_secret
from tests.journeys.live import running_parts
from tests.journeys.test_conversations import Api

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos, pytest.mark.timeout(900)]
CONVERSATIONS, TURNS = 20, 10
POLICIES = ("retry", "retry", "fork", "reject")


class Speaker:
    """Sends turns to one conversation by one policy, as a program would that means what it says."""

    def __init__(self, api: Api, conversation: dict[str, Any], policy: str) -> None:
        self.api, self.path, self.policy, self.first_state = api, f"/{conversation['id']}", policy, conversation["state"]
        self.rejected = 0

    def say(self, _: int) -> str:
        """The resolution of the turn that was answered."""
        while True:
            body: dict[str, Any] = {"input": "When is money paid back?", "on_conflict": self.policy}
            if self.policy == "fork":
                body["state"] = self.first_state
            if self.policy == "reject":
                body["state"] = self.api.send(self.path)["state"]
            try:
                return str(self.api.send(f"{self.path}/turns", body)["resolution"])
            except HTTPError as error:
                if error.code != 409 or json.loads(error.read())["code"] != "conversation_conflict":
                    raise
                self.rejected += 1


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


def kill_twice(sent: list[Any]) -> int:
    """Both times a pump that is at work; the sweep gives its items to another one."""
    killed = 0
    for wanted in (len(sent) // 4, len(sent) // 2):
        until(partial(_are_done, sent, wanted), "turns were answered", meanwhile=sweep)
        for pid in claiming_pids("exec-interactive")[:1]:
            os.kill(pid, signal.SIGKILL)
            killed += 1
    return killed


def _are_done(sent: list[Any], wanted: int) -> bool:
    return sum(one.done() for one in sent) >= wanted


def requests_of(turns: list[Turn]) -> dict[Any, str]:
    """By turn: what its model was told last."""
    bodies = {item.id: bytes(item.request_body_id) for item in Item.objects.filter(id__in=[turn.item_id for turn in turns])}
    contents = read_bodies(list(bodies.values()))
    return {turn.id: json.loads(contents[bodies[turn.item_id]])["messages"][-1]["content"] for turn in turns}


@pytest.mark.parametrize("kills", [pytest.param(0, marks=pytest.mark.long), 2])
def test_one_context_for_one_state_and_no_turn_lost(kills: int, tmp_path: Path) -> None:
    collection = make_collection(make_workspace("acme"), name="rules")
    make_document("Money is paid back within 30 days.", collection=collection)
    is_over = threading.Event()
    with (
        running_parts(tmp_path, "web") as live,
        worker("exec-interactive"),
        worker("exec-interactive"),
        ThreadPoolExecutor(CONVERSATIONS * TURNS + 2) as threads,
    ):
        make_callable(base_url=live.provider_url)
        api = Api(live, make_secret("acme"))
        made = [api.send(body={"model": "small", "collection": "rules", "window_tokens": 2048}) for _ in range(CONVERSATIONS)]
        speakers = [Speaker(api, one, POLICIES[number % len(POLICIES)]) for number, one in enumerate(made)]
        indexing = threads.submit(index_for_ever, collection, is_over)
        try:
            # All at once, ten for each conversation: they begin in the same state again and again.
            sent = [threads.submit(speaker.say, turn) for turn in range(TURNS) for speaker in speakers]
            if kills:
                assert kill_twice(sent) == kills
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
    rejected = sum(speaker.rejected for speaker in speakers)
    told = ", ".join(f"{name or 'no conflict'} {count}" for name, count in sorted(resolutions.items()))
    sys.stdout.write(
        f"\nTurns, pumps killed {kills}: {len(own)} of {CONVERSATIONS} conversations, {editions} editions indexed meanwhile; {told},"
        f" {rejected} rejected and sent again; mixed snapshots 0, lost 0, charges {Charge.objects.count()}\n"
    )
    assert resolutions["forked"] > 0
    assert resolutions["waited"] + resolutions["moved"] > 0
    assert rejected > 0
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
