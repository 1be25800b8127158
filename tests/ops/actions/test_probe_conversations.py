"""What somebody wrote behind the platform's back is found, told of, and over once it is mended."""

import re
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import redis
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.conversations.models import Conversation, Probe, Turn, TurnState
from apps.conversations.queries.consistency import sample_ids
from apps.jobs.queries import COUNTERS_KEY
from apps.knowledge.models import Pin, Snapshot
from apps.knowledge.queries import PIN_COUNTS_KEY
from apps.lib.redis_client import redis_client
from apps.ops.actions.probe_conversations import probe_conversations
from apps.ops.actions.watch_conditions import watch_conditions
from apps.ops.domain.conditions import QUIET
from apps.ops.queries.consistency_conditions import CONVERSATION_INCONSISTENT
from apps.webhooks.models import Alert
from tests.conversations.tampering import tamper
from tests.factories.accounts import make_office_client, make_workspace
from tests.factories.conversations import make_conversation, make_profile, make_turn
from tests.factories.jobs import make_job
from tests.factories.knowledge import make_collection, make_snapshot

pytestmark = pytest.mark.django_db


def probe(**told: Any) -> list[dict[str, Any]]:
    """What a look found."""
    probe_conversations(**({"now": timezone.now(), "chance": 0.5} | told))
    return Probe.objects.order_by("-checked_at", "-id")[0].findings


def said(turns: int = 3) -> Conversation:
    conversation = make_conversation(make_workspace())
    for _ in range(turns):
        make_turn(conversation)
    return conversation


def test_what_agrees_is_found_to_agree() -> None:
    said()
    make_profile(make_workspace(), "ada", name="Ada", town="London")
    assert probe() == []
    looked = Probe.objects.get()
    assert (looked.is_whole, looked.conversations, looked.turns, looked.profiles, looked.events) == (True, 1, 3, 1, 2)


# Table, what is written to one row of it, what mends it, what is found.
TAMPERED: dict[str, tuple[str, str, str, tuple[str, str]]] = {
    "an answer": (
        "conversations_turn", "SET answer = 'No' WHERE number = 2", "SET answer = 'Answer 2' WHERE number = 2",
        ("chain", "turn 2 isn't what was said: its hash is another"),
    ),
    "a turn's number": (
        "conversations_turn", "SET number = 7 WHERE number = 2", "SET number = 2 WHERE number = 7", ("chain", "turn 2 is missing"),
    ),
    "a version": (
        "conversations_conversation", "SET version = 2", "SET version = 3",
        ("chain", "the conversation is in version 2, its last answered turn is 3"),
    ),
    "a tip": (
        "conversations_conversation", "SET tip_hash = reverse(tip_hash)", "SET tip_hash = reverse(tip_hash)",
        ("chain", "the conversation's tip isn't the hash of turn 3"),
    ),
    "what is remembered": (
        "conversations_profile", """SET memory = jsonb_set(memory, '{name,text}', '"Eve"')""",
        """SET memory = jsonb_set(memory, '{name,text}', '"Ada"')""", ("memory", "under 1 key something else is kept than the events say"),
    ),
    "an event": (
        "conversations_memoryevent", "SET text = 'Eve'", "SET text = 'Ada'",
        ("memory", "event 1 isn't what was written down: its hash is another"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERED)
def test_what_was_tampered_with_is_found_and_told_until_it_is_mended(what: str) -> None:
    table, wrong, right, found = TAMPERED[what]
    said()
    make_profile(make_workspace(), "ada", name="Ada")
    now = timezone.now()
    tamper(table, wrong)
    findings = probe(now=now)
    assert found in [(one["kind"], one["text"]) for one in findings]
    assert "Eve" not in str(findings)
    watch_conditions(now=now)
    alert = Alert.objects.get(kind=CONVERSATION_INCONSISTENT)
    assert (alert.severity, alert.workspace, alert.resolved_at) == ("critical", None, None)
    tamper(table, right)
    assert probe(now=now + timedelta(seconds=1)) == []
    watch_conditions(now=now + QUIET + timedelta(seconds=2))
    alert.refresh_from_db()
    assert (alert.resolved_at is None, Alert.objects.filter(kind=CONVERSATION_INCONSISTENT).count()) == (False, 1)


def test_a_finding_is_looked_at_again_however_much_comes_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.ops.actions.probe_conversations._NEWEST", 1)
    monkeypatch.setattr("apps.ops.actions.probe_conversations._OLDER", 0)
    old = said()
    tamper("conversations_turn", "SET answer = 'No' WHERE number = 2")
    assert len(probe(now=timezone.now())) == 1
    said()
    assert [one["id"] for one in probe(now=timezone.now())] == [str(old.id)]
    tamper("conversations_turn", "SET answer = 'Answer 2' WHERE number = 2")
    assert probe(now=timezone.now()) == []
    assert Probe.objects.latest("checked_at").conversations == 2


def retrieved(conversation: Conversation, snapshot: Snapshot, *, pin: bool = True) -> Turn:
    turn = make_turn(conversation, query_key="q" * 64, snapshot_id=snapshot.id)
    if pin:
        scope, version = bytes(turn.previous_hash).hex(), turn.number - 1
        Pin.objects.create(
            workspace=conversation.workspace, scope=scope, state_version=version, query_key=turn.query_key, snapshot=snapshot
        )
    return turn


def test_a_turn_with_another_snapshot_than_its_pin_is_found() -> None:
    conversation, snapshot = said(1), make_snapshot(make_collection())
    turn = retrieved(conversation, snapshot)
    assert probe() == []
    tamper("conversations_turn", "SET snapshot_id = 'another' WHERE id = %s", turn.id)
    (found,) = probe()
    assert (found["kind"], found["id"]) == ("context", str(conversation.id))
    assert found["text"] == "turn 2 was answered from another snapshot than is pinned to its state"
    tamper("conversations_turn", "SET snapshot_id = %s WHERE id = %s", snapshot.id, turn.id)
    assert probe() == []


def test_two_conversations_of_one_root_with_two_snapshots_for_one_state_are_found() -> None:
    one = said(0)
    fork = make_conversation(make_workspace(), root_id=one.root_id, tip_hash=bytes(one.tip_hash))
    snapshot = make_snapshot(make_collection())
    retrieved(one, snapshot, pin=False)
    turn = retrieved(fork, snapshot, pin=False)
    assert probe() == []
    tamper("conversations_turn", "SET snapshot_id = 'another' WHERE id = %s", turn.id)
    assert [found["text"] for found in probe()] == ["turn 1 was answered from another snapshot than the same question in the same state"]


def open_turn(item_id: Any, *, since: datetime) -> Turn:
    return make_turn(said(0), state=TurnState.OPEN, item_id=item_id, created_at=since)


def test_an_open_turn_is_left_behind_when_its_item_has_ended_for_a_minute() -> None:
    now = timezone.now()
    job = make_job(done=1, dead=0, running=1, waiting=0)
    running, done = job.items.get(state="running"), job.items.get(state="done")
    open_turn(running.id, since=now - timedelta(hours=1))
    left = open_turn(done.id, since=now - timedelta(hours=1))
    job.items.filter(id=done.id).update(ended_at=now - timedelta(seconds=30))
    assert probe(now=now) == []
    (found,) = probe(now=now + timedelta(seconds=31))
    assert (found["kind"], found["id"]) == ("unclosed", str(left.conversation_id))
    assert Probe.objects.latest("checked_at").open_turns == 2


@pytest.mark.parametrize(("chance", "found"), [(0.0, [5, 4, 1, 2]), (0.3, [5, 4, 3]), (0.999999, [5, 4])])
def test_older_ones_are_looked_at_by_chance_and_none_twice(chance: float, found: list[int]) -> None:
    for number in range(1, 6):
        make_conversation(make_workspace(), id=UUID(int=number << 64))
    ids = sample_ids("conversation", newest=2, older=2, chance=chance)
    assert [key.int >> 64 for key in ids] == found


def metrics(client: Client) -> dict[str, float]:
    lines = client.get("/metrics").content.decode().splitlines()
    return {line.split()[0]: float(line.split()[1]) for line in lines if line.startswith("aiplatform_consistency")}


def test_metrics_tell_of_the_last_look() -> None:
    assert metrics(Client()) == {}
    profile = make_profile(make_workspace(), "ada")
    tamper("conversations_profile", "SET memory = '{}'")
    probe()
    told = metrics(Client())
    assert told['aiplatform_consistency_findings{kind="memory"}'] == 1
    assert told['aiplatform_consistency_findings{kind="chain"}'] == 0
    assert told['aiplatform_consistency_checked{of="profiles"}'] == 1
    assert told["aiplatform_consistency_age_seconds"] >= 0
    assert profile.seq == 1


def test_the_page_looks_now_and_leads_to_what_it_found() -> None:
    profile = make_profile(make_workspace(), "ada")
    make_turn(said(1), resolution="waited")
    office, page = make_office_client(), reverse("admin:conversations_probe_changelist")
    answer = office.post(reverse("conversations_probe_now"), follow=True)
    assert "all agree" in str(next(iter(answer.context["messages"])))
    tamper("conversations_profile", "SET memory = '{}'")
    answer = office.post(reverse("conversations_probe_now"), follow=True)
    assert "1 finding." in str(next(iter(answer.context["messages"])))
    assert reverse("admin:conversations_profile_change", args=[profile.pk]) in answer.content.decode()
    assert answer.context["resolutions"] == {"waited": 1, "moved": 0, "forked": 0, "turns": 2}
    assert answer.redirect_chain == [(page, 302)]
    newest = Probe.objects.latest("checked_at")
    shown = office.get(reverse("admin:conversations_probe_change", args=[newest.pk])).content.decode()
    assert "under 1 key something else is kept" in shown


def test_a_look_keeps_how_pins_and_conflicts_went_so_far() -> None:
    redis_client().hset(PIN_COUNTS_KEY, mapping={"won": "41", "lost": "1e300", "read": "-7"})
    redis_client().hset(COUNTERS_KEY, "turn:rejected", "3")
    probe()
    looked = Probe.objects.get()
    assert (looked.pins_won, looked.pins_lost, looked.pins_read, looked.rejected) == (41, 10**15, 0, 3)
    page = make_office_client().get(reverse("admin:conversations_probe_changelist")).content.decode()
    shown = {name: re.search(rf'id="tile-{name}">.*?<strong>([\d,]+)<', page) for name in ("won", "read", "rejected")}
    assert {name: found and found[1] for name, found in shown.items()} == {"won": "41", "read": "0", "rejected": "3"}


def test_a_look_needs_no_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = redis.Redis(host="127.0.0.1", port=1, socket_connect_timeout=1)
    monkeypatch.setattr("apps.lib.redis_client.redis_client", lambda: absent)
    assert probe() == []
    assert Probe.objects.get().pins_won == 0


def test_looks_that_found_nothing_are_kept_for_a_month() -> None:
    now = timezone.now()
    probe(now=now - timedelta(days=31))
    make_profile(make_workspace(), "ada")
    tamper("conversations_profile", "SET memory = '{}'")
    probe(now=now - timedelta(days=31))
    probe(now=now)
    assert [one.is_whole for one in Probe.objects.order_by("checked_at")] == [False, False]
