"""`/api/profiles`: made, read, changed once, and erased."""

import json
from typing import Any

import pytest
from django.test import Client

from apps.accounts.domain.idempotency import KEY_HEADER
from apps.conversations.models import MemoryEvent, Profile
from tests.factories.accounts import make_client, make_workspace
from tests.factories.conversations import make_profile

pytestmark = pytest.mark.django_db


def send(client: Client, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    text = "" if body is None else json.dumps(body)
    answer = client.generic(method, f"/api/profiles{path}", text, content_type="application/json", headers=headers)
    return answer.status_code, json.loads(answer.content) if answer.content else None


def test_memory_is_kept_read_and_forgotten() -> None:
    client = make_client()
    status, made = send(client, "POST", "", {"end_user": "ada@example.org"})
    assert (status, made["seq"], made["remembered"]) == (201, 0, 0)
    assert send(client, "POST", "", {"end_user": "ada@example.org"}) == (200, made)
    mine = f"/{made['id']}"
    assert send(client, "PUT", f"{mine}/memory/name", {"text": "Ada"}) == (200, {"key": "name", "text": "Ada", "seq": 1})
    assert send(client, "PUT", f"{mine}/memory/town", {"text": " London\n", "why": "she said so"})[1]["text"] == " London\n"
    assert send(client, "PUT", f"{mine}/memory/name", {"text": "Ada"})[1]["seq"] == 1
    assert send(client, "GET", f"{mine}/memory/name")[1]["text"] == "Ada"
    assert send(client, "DELETE", f"{mine}/memory/name?expected_seq=2&why=asked") == (204, None)
    assert send(client, "GET", f"{mine}/memory/name")[0] == 404
    assert send(client, "DELETE", f"{mine}/memory/name")[0] == 404
    town = {"key": "town", "text": " London\n", "seq": 2}
    assert send(client, "GET", f"{mine}/memory") == (200, {"seq": 3, "data": [town]})
    assert send(client, "GET", f"{mine}/memory?seq=1")[1] == {"seq": 1, "data": [{"key": "name", "text": "Ada", "seq": 1}]}
    told = send(client, "GET", f"{mine}/events?limit=2")[1]
    assert [(event["seq"], event["kind"], event["why"], event["source"]) for event in told["data"]] == [
        (3, "forget", "asked", "api"),
        (2, "set", "she said so", "api"),
    ]
    older = send(client, "GET", f"{mine}/events?cursor={told['next_cursor']}")[1]["data"]
    assert [event["hash"] for event in older] == [told["data"][-1]["previous_hash"]]
    assert send(client, "GET", mine)[1] | {"updated_at": None} == made | {"seq": 3, "remembered": 1, "updated_at": None}
    assert MemoryEvent.objects.filter(api_key=None).count() == 0


def test_profiles_are_found_by_whose_they_are() -> None:
    for name in ("ada", "grace", "ada lovelace"):
        make_profile(make_workspace(), name)
    make_profile(make_workspace("other"), "ada")
    client = make_client()
    assert [one["end_user"] for one in send(client, "GET", "")[1]["data"]] == ["ada lovelace", "grace", "ada"]
    assert [one["end_user"] for one in send(client, "GET", "?end_user=ada")[1]["data"]] == ["ada"]
    assert send(client, "GET", "?end_user=")[0] == 400


def test_a_request_that_is_sent_twice_counts_once() -> None:
    client, mine = make_client(), f"/{make_profile(make_workspace(), 'ada').public_id}/memory/name"
    once, other = {KEY_HEADER: "k" * 255}, {KEY_HEADER: "l"}
    first = send(client, "PUT", mine, {"text": "Lovelace"}, **once)
    send(client, "PUT", mine, {"text": "Byron"})
    assert send(client, "PUT", mine, {"text": "Lovelace"}, **once) == first
    assert send(client, "GET", mine)[1]["text"] == "Byron"
    assert send(client, "PUT", mine, {"text": "Eve"}, **once)[1]["code"] == "idempotency_key_reused"
    assert [send(client, "DELETE", mine, **other)[0] for _ in range(2)] == [204, 204]
    assert MemoryEvent.objects.count() == 4
    assert send(client, "DELETE", mine, **{KEY_HEADER: "a b"})[1]["param"] == KEY_HEADER


def test_who_has_read_an_older_memory_changes_nothing() -> None:
    client, mine = make_client(), f"/{make_profile(make_workspace(), 'ada').public_id}/memory/name"
    for status, told in (
        send(client, "PUT", mine, {"text": "Eve", "expected_seq": 0}),
        send(client, "DELETE", f"{mine}?expected_seq=2"),
    ):
        assert (status, told["code"], told["param"]) == (409, "memory_changed", "expected_seq")
        assert "its last event is 1" in told["detail"]


@pytest.mark.parametrize(
    ("method", "path", "body", "param"),
    [
        ("POST", "", {"end_user": ""}, "end_user"),
        ("POST", "", {"end_user": 7}, "end_user"),
        ("PUT", "/{}/memory/Name", {"text": "x"}, "key"),
        ("PUT", "/{}/memory/name", {"text": " \n "}, "text"),
        ("PUT", "/{}/memory/name", {"text": "x" * 2001}, "text"),
        ("PUT", "/{}/memory/name", {"text": "x", "expected_seq": "1"}, "expected_seq"),
        ("DELETE", "/{}/memory/name?expected_seq=-1", None, "expected_seq"),
        ("DELETE", f"/{{}}/memory/name?why={'x' * 501}", None, "why"),
        ("GET", "/{}/memory?seq=x", None, "seq"),
        ("DELETE", "/{}", None, "end_user"),
        ("DELETE", "/{}?end_user=Ada", None, "end_user"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(method: str, path: str, body: Any, param: str) -> None:
    profile = make_profile(make_workspace(), "ada")
    status, told = send(make_client(), method, path.format(profile.public_id), body)
    assert (status, told["param"]) == (400, param)
    assert (Profile.objects.count(), MemoryEvent.objects.count()) == (1, 1)


def test_a_person_is_erased_by_their_name() -> None:
    client, mine = make_client(), f"/{make_profile(make_workspace(), 'ada@example.org').public_id}"
    assert send(client, "DELETE", f"{mine}?end_user=ada@example.org") == (204, None)
    assert [send(client, "GET", f"{mine}{path}")[0] for path in ("", "/memory", "/events")] == [404, 404, 404]
    assert not MemoryEvent.objects.exists()
