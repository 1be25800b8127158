"""`/api/keys`: made once shown, listed without secrets, revoked at once, and never more than their maker."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.domain.keys import KEY_PREFIX, Scope
from apps.accounts.models import ApiKey
from apps.lib.ids import public_id
from tests.factories.accounts import make_api_key, make_client, make_workspace

pytestmark = pytest.mark.django_db


def post(client: Client, path: str, body: object = None) -> Any:
    return client.post(path, b"" if body is None else json.dumps(body), content_type="application/json")


def test_a_key_is_made_and_works_and_its_secret_is_told_once() -> None:
    client = make_client()
    answer = post(client, "/api/keys", {"name": "nightly", "scopes": ["files", "files", "batches"]})
    assert answer.status_code == 201
    made = answer.json()
    assert (made["name"], made["scopes"], made["secret"][:12]) == ("nightly", ["batches", "files"], made["prefix"])
    assert (made["expires_at"], made["revoked_at"], made["last_used_at"]) == (None, None, None)
    holder = Client(headers={"Authorization": f"Bearer {made['secret']}"})
    assert holder.get("/v1/files").status_code == 200
    assert holder.get("/api/keys").status_code == 403
    listed = client.get("/api/keys").json()["data"]
    assert listed[0]["id"] == made["id"]
    assert made["secret"] not in client.get("/api/keys").content.decode()
    assert all("secret" not in key for key in listed)


def test_a_revoked_key_opens_nothing_and_stays_listed() -> None:
    key, secret = make_api_key()
    client = make_client()
    for _ in range(2):
        answer = post(client, f"/api/keys/{public_id(KEY_PREFIX, key.id)}/revoke")
        assert (answer.status_code, answer.json()["revoked_at"] is not None) == (200, True)
    assert Client(headers={"Authorization": f"Bearer {secret}"}).get("/v1/files").status_code == 401
    assert {entry["id"] for entry in client.get("/api/keys").json()["data"] if entry["revoked_at"]} == {public_id(KEY_PREFIX, key.id)}


def test_a_key_gives_no_more_than_it_has() -> None:
    client = make_client("acme", Scope.ADMIN, Scope.FILES)
    answer = post(client, "/api/keys", {"name": "more", "scopes": ["admin", "chat"]})
    assert (answer.status_code, answer.json()["param"]) == (403, "scopes")
    assert not ApiKey.objects.filter(name="more").exists()


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        *(({"name": ""}, "name"), ({"name": "x" * 101}, "name"), ({"name": None}, "name"), ({"name": []}, "name"), ({"name": 7}, "name")),
        *(({"scopes": []}, "scopes"), ({"scopes": ["root"]}, "scopes.0"), ({"scopes": "files"}, "scopes"), ({"scopes": None}, "scopes")),
        *(({"expires_at": "soon"}, "expires_at"), ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at")),
        ({"expires_at": "9999-12-31T23:59:59-23:59"}, "expires_at"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(changes: dict[str, Any], param: str) -> None:
    answer = post(make_client(), "/api/keys", {"name": "a", "scopes": ["files"]} | changes)
    assert (answer.status_code, answer.json()["param"]) == (400, param)


def test_a_key_may_end_by_itself() -> None:
    moment = timezone.now() + timedelta(days=1)
    made = post(make_client(), "/api/keys", {"name": "a", "scopes": ["files"], "expires_at": moment.isoformat()}).json()
    assert ApiKey.objects.get(prefix=made["prefix"]).expires_at == moment


def test_keys_of_others_do_not_show() -> None:
    make_api_key(make_workspace("others"))
    assert len(make_client().get("/api/keys").json()["data"]) == 1


def test_a_key_does_not_lock_its_holder_out() -> None:
    client = make_client()
    (own,) = client.get("/api/keys").json()["data"]
    answer = post(client, f"/api/keys/{own['id']}/revoke")
    assert (answer.status_code, answer.json()["code"]) == (409, "own_key")
    assert client.get("/api/keys").status_code == 200
