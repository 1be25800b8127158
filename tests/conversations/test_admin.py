"""What is remembered of people in the back office."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Role
from apps.conversations import actions
from apps.conversations.models import MemoryEvent, Profile
from apps.lib.ids import uuid7
from tests.conversations.tampering import tamper
from tests.factories.accounts import make_office_client, make_user, make_workspace
from tests.factories.conversations import make_profile

pytestmark = pytest.mark.django_db


def address(name: str, profile: Profile, query: str = "") -> str:
    return reverse(f"admin:conversations_profile_{name}", args=[profile.pk]) + query


def shown(client: Client, path: str) -> str:
    return client.get(path).content.decode()


def said(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def test_the_page_tells_what_is_remembered_since_when_and_where_from() -> None:
    profile = make_profile(make_workspace(), "ada", name="Ada", town="<b>London</b>")
    item_id = uuid7()
    told: Any = {"workspace_id": profile.workspace_id, "end_user": "ada", "key": "name", "item_id": item_id, "once_key": "k"}
    actions.remember(**told, text="Ada Lovelace", now=timezone.now())
    page = shown(make_office_client(), address("change", profile))
    remembered, _, history = page.partition("<h2>History</h2>")
    assert [re.sub(r"\s+", " ", key) for key in re.findall(r'<th scope="row" class="whole">(.*?)</th>', remembered)] == ["name", "town"]
    assert reverse("admin:jobs_item_change", args=[item_id]) in remembered
    assert "&lt;b&gt;London&lt;/b&gt;" in remembered
    assert re.findall(r'class="text">([^<]*)<', history) == ["Ada", "Ada Lovelace", "&lt;b&gt;London&lt;/b&gt;", "Ada"]


def test_memory_is_shown_as_it_was_with_what_has_changed_since() -> None:
    profile = make_profile(make_workspace(), "ada", name="Ada", town="London")
    office = make_office_client()
    office.post(address("set", profile), {"key": "name", "text": "Ada Lovelace", "reason": "she has married"})
    office.post(address("forget", profile), {"key": "town", "reason": "she has asked"})
    page = office.get(address("change", profile, "?seq=2"))
    assert [told.thing.text for told in page.context["things"]] == ["London", "Ada"]
    assert [(part.key, part.before, part.after) for part in page.context["since"]] == [
        ("name", "Ada", "Ada Lovelace"),
        ("town", "London", None),
    ]
    assert [event.seq for event in page.context["history"]] == [2, 1]
    newest = office.get(address("change", profile)).context["history"]
    assert [(event.why, str(event.created_by)) for event in newest[:2]] == [("she has asked", "root"), ("she has married", "root")]
    assert (office.get(address("change", profile, "?seq=99")).context["seq"], MemoryEvent.objects.count()) == (None, 4)


def test_whoever_had_an_older_memory_before_their_eyes_is_told() -> None:
    profile = make_profile(make_workspace(), "ada", name="Ada")
    form = {"key": "name", "text": "Eve", "reason": "x", "seq": "0"}
    assert "its last event is 1" in make_office_client().post(address("set", profile), form).content.decode()
    assert MemoryEvent.objects.count() == 1


def test_what_cannot_be_remembered_is_said_beside_its_field() -> None:
    profile = make_profile(make_workspace(), "ada")
    form = make_office_client().post(address("set", profile), {"key": "A b", "text": "", "reason": ""}).context["form"]
    assert set(form.errors) == {"key", "text", "reason"}


def test_a_rebuild_says_what_it_found() -> None:
    profile = make_profile(make_workspace(), "ada", name="Ada")
    office = make_office_client()
    assert "it was just that" in said(office.post(address("rebuild", profile), follow=True))[0]
    Profile.objects.update(memory={"pet": {"text": "a cat", "seq": 1}})
    assert "something else had been kept under name, pet" in said(office.post(address("rebuild", profile), follow=True))[0]
    tamper("conversations_memoryevent", "SET text = 'Eve'")
    found = said(office.post(address("rebuild", profile), follow=True))[0]
    assert "under name" in found
    assert "event 1 isn&#x27;t what was written down" in found or "event 1 isn't what was written down" in found


def test_erasing_asks_for_the_name_and_for_a_reason() -> None:
    profile = make_profile(make_workspace(), "ada")
    office = make_office_client()
    for form in ({"name": "eve", "reason": "the law"}, {"name": "ada"}):
        office.post(address("discard", profile), form)
        assert Profile.objects.exists()
    answer = office.post(address("discard", profile), {"name": "ada", "reason": "the law"}, follow=True)
    assert said(answer)[-1] == "All that was remembered is erased, with 1 events."
    assert not Profile.objects.exists()


def test_who_may_only_look_is_shown_no_way_to_change() -> None:
    profile = make_profile(make_workspace(), "ada")
    page = shown(make_office_client(make_user(acme=Role.VIEWER)), address("change", profile))
    main = page[page.index("<h2>What is remembered") :]
    assert "Ada" in main
    assert not any(address(name, profile) in page for name in ("set", "forget", "rebuild", "discard"))
