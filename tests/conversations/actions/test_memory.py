"""What is remembered: written with its event, once, one at a time; rebuilt, and erased."""

import threading
from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from apps.accounts.actions import acting
from apps.accounts.models import AuditEntry
from apps.conversations import actions
from apps.conversations.actions import Origin
from apps.conversations.domain.memory import Change, Kind, Source, find_breaks, fold, start_hash
from apps.conversations.models import MemoryEvent, Profile
from apps.conversations.queries.memory import read_events, read_memory
from apps.lib.http_errors import ApiError
from apps.lib.ids import uuid7
from tests.accounts.changes import WHY
from tests.conversations.tampering import tamper
from tests.crowds import all_at_once
from tests.factories.accounts import make_user, make_workspace
from tests.factories.conversations import make_profile

pytestmark = pytest.mark.django_db


def change(profile: Profile, key: str, text: str = "", **told: Any) -> Any:
    expected_seq = told.pop("expected_seq", None)
    wanted = Change(Kind.SET, key, text) if text else Change(Kind.FORGET, key)
    origin = Origin(**{"source": Source.API} | told)
    return actions.change_memory(profile_id=profile.id, change=wanted, origin=origin, expected_seq=expected_seq, now=timezone.now())


def remember(text: str, *, once_key: str, key: str = "name") -> Any:
    told = {"workspace_id": make_workspace().id, "end_user": "ada", "item_id": UUID(int=7)}
    return actions.remember(**told, key=key, text=text, once_key=once_key, now=timezone.now())


def now_remembered(end_user: str = "ada", **at: Any) -> tuple[int, dict[str, str]]:
    seq, things = read_memory(workspace_id=make_workspace().id, end_user=end_user, **at)
    return seq, {thing.key: thing.text for thing in things}


def is_sound(profile: Profile) -> bool:
    profile.refresh_from_db()
    events = list(read_events(profile.id))
    breaks = list(find_breaks(events, start=start_hash(profile.id), seq=profile.seq, tip_hash=bytes(profile.tip_hash)))
    return breaks == [] and {thing.key: thing.text for thing in fold(events).values()} == now_remembered(profile.end_user)[1]


def refused(code: str, status: int) -> Any:
    return pytest.raises(ApiError, check=lambda error: (error.code, error.status) == (code, status))


def test_memory_is_read_now_and_as_it_was() -> None:
    profile = make_profile(make_workspace(), "ada", name="Ada", town="London")
    change(profile, "name", "Ada Lovelace")
    change(profile, "town")
    assert now_remembered() == (4, {"name": "Ada Lovelace"})
    assert now_remembered(seq=3) == (3, {"name": "Ada Lovelace", "town": "London"})
    assert list(now_remembered(seq=2)[1]) == ["town", "name"]
    assert (now_remembered(seq=0), now_remembered(seq=99)) == ((0, {}), now_remembered())
    assert (now_remembered("eve"), now_remembered("")) == ((0, {}), (0, {}))
    assert is_sound(profile)


def test_another_workspaces_person_of_the_same_name_is_another() -> None:
    make_profile(make_workspace("other"), "ada", name="Eve")
    assert now_remembered() == (0, {})


def test_a_change_that_changes_nothing_leaves_no_event() -> None:
    profile = make_profile(make_workspace(), "ada", name="Ada")
    again = change(profile, "name", "Ada")
    assert (again.event, again.is_new, now_remembered()) == (None, False, (1, {"name": "Ada"}))


def test_a_tool_that_is_called_again_remembers_once() -> None:
    first = remember("Ada", once_key="call-1")
    remember("Ada Lovelace", once_key="call-2")
    again = remember("Ada", once_key="call-1")
    assert (first.is_new, again.is_new, again.event.pk) == (True, False, first.event.pk)
    assert (first.event.source, first.event.item_id) == ("tool", UUID(int=7))
    assert now_remembered() == (2, {"name": "Ada Lovelace"})
    with refused("idempotency_key_reused", 422):
        remember("Eve", once_key="call-1")


def test_a_tool_forgets_once_and_says_what_is_not_there() -> None:
    told: dict[str, Any] = {"workspace_id": make_workspace().id, "end_user": "ada", "key": "name", "item_id": uuid7()}
    told["now"] = timezone.now()
    with refused("not_found", 404):
        actions.forget(**told, once_key="call-0")
    assert not Profile.objects.exists()
    remember("Ada", once_key="call-1")
    assert [actions.forget(**told, once_key="call-2").is_new for _ in range(2)] == [True, False]
    assert now_remembered() == (2, {})
    with refused("not_found", 404):
        actions.forget(**told, once_key="call-3")


def test_whoever_has_read_an_older_memory_is_told_the_newest_event() -> None:
    profile = make_profile(make_workspace(), "ada", name="Ada", town="London")
    with refused("memory_changed", 409) as told:
        change(profile, "name", "Eve", expected_seq=1)
    assert "its last event is 2, not 1" in told.value.message
    change(profile, "name", "Ada Lovelace", expected_seq=2, once_key="k")
    assert not change(profile, "name", "Ada Lovelace", expected_seq=2, once_key="k").is_new
    assert now_remembered() == (3, {"name": "Ada Lovelace", "town": "London"})


@pytest.mark.django_db(transaction=True)
def test_many_at_once_are_numbered_one_by_one() -> None:
    counted, lock = iter(range(1000)), threading.Lock()

    def work() -> None:
        with lock:
            number = next(counted)
        for turn in range(3):
            remember(f"text {number}", once_key=f"{number}-{turn}", key=f"k{turn}")
            remember("the same", once_key=f"same-{turn}", key="same")

    all_at_once(8, work)
    profile = Profile.objects.get()
    assert (profile.seq, MemoryEvent.objects.filter(key="same").count()) == (8 * 3 + 3, 3)
    assert is_sound(profile)


def test_staff_leaves_an_entry_without_names_and_texts_and_programs_leave_none() -> None:
    profile = make_profile(make_workspace(), "ada@example.org", name="Ada")
    assert not AuditEntry.objects.exists()
    grace = make_user("grace")
    change(profile, "name", "A secret name", source=Source.STAFF, user_id=grace.pk, why=WHY)
    change(profile, "name", source=Source.STAFF, user_id=grace.pk, why=WHY)
    entries = list(AuditEntry.objects.order_by("id"))
    assert [(entry.verb, entry.object_type, entry.reason) for entry in entries] == [("set", "memory", WHY), ("forgot", "memory", WHY)]
    assert entries[0].changes == {"event": {"before": 1, "after": 2}}
    told = [f"{entry.changes} {entry.object_label}" for entry in entries]
    assert not any(word in text for text in told for word in ("secret", "example.org"))
    assert [event.created_by for event in MemoryEvent.objects.order_by("seq")] == [None, grace, grace]


def test_an_event_is_never_changed() -> None:
    make_profile(make_workspace(), "ada")
    with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
        MemoryEvent.objects.update(text="Eve")


def test_a_profile_that_keeps_something_else_is_rebuilt() -> None:
    profile = make_profile(make_workspace(), "ada", name="Ada", town="London")
    Profile.objects.update(memory={"name": {"text": "Eve", "seq": 1}, "pet": {"text": "a cat", "seq": 9}}, seq=9)
    with acting("a test"):
        found = actions.rebuild_memory(profile_id=profile.id, now=timezone.now(), reason=WHY)
    assert (found.events, found.differences) == (2, ["name", "pet", "town"])
    assert found.breaks == ["the profile stands at event 9, its last event is 2"]
    assert now_remembered() == (2, {"town": "London", "name": "Ada"})
    assert is_sound(profile)
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.changes) == ("rebuilt", {"event": {"before": 9, "after": 2}, "wrong": {"before": 3, "after": 0}})
    again = actions.rebuild_memory(profile_id=profile.id, now=timezone.now())
    assert (again.differences, again.breaks, AuditEntry.objects.count()) == ([], [], 1)


def test_rebuilding_tells_of_an_event_that_was_tampered_with() -> None:
    profile = make_profile(make_workspace(), "ada", name="Ada", town="London")
    tamper("conversations_memoryevent", "SET text = 'Eve' WHERE seq = 1")
    found = actions.rebuild_memory(profile_id=profile.id, now=timezone.now())
    assert (found.differences, found.breaks) == (["name"], ["event 1 isn't what was written down: its hash is another"])


def test_a_person_is_erased_with_every_text_and_only_the_log_knows_that_there_was_one() -> None:
    profile = make_profile(make_workspace(), "ada@example.org", name="Ada", town="London")
    other = make_profile(make_workspace(), "grace@example.org", name="Grace")
    change(profile, "town", "Paris", source=Source.STAFF)
    with refused("not_confirmed", 400):
        actions.erase_profile(profile_id=profile.id, end_user="ada", now=timezone.now())
    assert actions.erase_profile(profile_id=profile.id, end_user="ada@example.org", now=timezone.now(), reason=WHY) == 3
    assert (now_remembered("ada@example.org"), list(Profile.objects.all()), MemoryEvent.objects.count()) == ((0, {}), [other], 1)
    entry = AuditEntry.objects.latest("id")
    assert (entry.verb, entry.object_label, entry.reason) == ("erased", profile.public_id, WHY)
    assert (entry.changes["events"], entry.changes["remembered"]) == ({"before": 3, "after": 0}, {"before": 2, "after": 0})
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(entry::text, ' ') FROM accounts_auditentry AS entry")
        told = cursor.fetchone()[0]
    assert not any(word in told for word in ("example.org", "Paris", "London", "Ada"))
    with refused("not_found", 404):
        actions.erase_profile(profile_id=profile.id, end_user="ada@example.org", now=timezone.now())


def test_whoever_comes_back_after_that_begins_anew() -> None:
    profile = make_profile(make_workspace(), "ada")
    actions.erase_profile(profile_id=profile.id, end_user="ada", now=timezone.now())
    changed = remember("Ada", once_key="call-1")
    assert (changed.profile.seq, changed.profile.id != profile.id) == (1, True)


@pytest.mark.parametrize("end_user", ["", "x" * 256, "a\0b"])
def test_a_person_has_a_name(end_user: str) -> None:
    with refused("invalid_value", 400):
        actions.create_profile(workspace_id=make_workspace().id, end_user=end_user, now=timezone.now())
