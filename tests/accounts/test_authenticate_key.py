"""Who gets in, who does not, and what is kept of it."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from apps.accounts.actions import authenticate_key, revoke_api_key
from apps.accounts.domain.keys import Scope
from apps.accounts.models import ApiKey
from apps.lib.http_errors import ApiError
from tests.factories.accounts import make_api_key, make_client, make_workspace

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def refusal(header: str | None, now: datetime = NOW) -> str:
    with pytest.raises(ApiError) as caught:
        authenticate_key(header, now=now)
    assert (caught.value.status, caught.value.code) == (401, "invalid_api_key")
    assert caught.value.headers == {"WWW-Authenticate": "Bearer", "x-should-retry": "false"}
    return caught.value.message


def test_a_live_key_opens() -> None:
    key, secret = make_api_key()
    assert authenticate_key(f"Bearer {secret}", now=NOW) == key
    assert authenticate_key(f"bearer   {secret} ", now=NOW) == key


def test_without_a_key_the_caller_is_told_how_to_send_one() -> None:
    for header in (None, "", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", make_api_key()[1]):
        assert "Authorization: Bearer" in refusal(header)


@pytest.mark.parametrize("secret", ["sk-proj-abc", "aip-unknown", "aip-" + "x" * 500, "aip-\0", "aip-ü", "aip- x", "aip-\udcff"])
def test_keys_that_are_not_ours_are_refused(secret: str) -> None:
    assert secret not in refusal(f"Bearer {secret}")


def test_a_revoked_key_is_refused_from_its_next_request_on() -> None:
    key, secret = make_api_key()
    authenticate_key(f"Bearer {secret}", now=NOW)
    assert revoke_api_key(key_id=key.id, now=NOW)
    assert "revoked" in refusal(f"Bearer {secret}")
    assert not revoke_api_key(key_id=key.id, now=NOW + timedelta(days=1))
    key.refresh_from_db()
    assert key.revoked_at == NOW


def test_a_key_expires_at_its_time() -> None:
    _, secret = make_api_key(None, expires_at=NOW)
    authenticate_key(f"Bearer {secret}", now=NOW - timedelta(microseconds=1))
    assert "expired" in refusal(f"Bearer {secret}", NOW)


def test_last_use_is_written_at_most_once_a_minute() -> None:
    key, secret = make_api_key()
    seen = []
    for seconds in (0, 30, 60, 61, 62):
        authenticate_key(f"Bearer {secret}", now=NOW + timedelta(seconds=seconds))
        key.refresh_from_db()
        assert key.last_used_at is not None
        seen.append((key.last_used_at - NOW).total_seconds())
    assert seen == [0, 0, 0, 61, 61]


def test_a_refused_key_leaves_no_trace_of_use() -> None:
    key, secret = make_api_key(None, expires_at=NOW)
    refusal(f"Bearer {secret}")
    key.refresh_from_db()
    assert key.last_used_at is None


def test_the_secret_is_stored_nowhere() -> None:
    key, secret = make_api_key()
    row = ApiKey.objects.filter(id=key.id).values().get()
    assert not any(secret in str(value) for value in row.values())
    assert secret.startswith(row["prefix"])
    assert len(secret) - len(row["prefix"]) >= 32


def test_keys_of_two_workspaces_stay_apart() -> None:
    ours, our_secret = make_api_key(make_workspace("ours"))
    theirs, their_secret = make_api_key(make_workspace("theirs"))
    assert authenticate_key(f"Bearer {our_secret}", now=NOW).workspace_id == ours.workspace_id
    assert authenticate_key(f"Bearer {their_secret}", now=NOW).workspace_id == theirs.workspace_id


def test_over_http_each_route_asks_for_a_key_before_anything_else() -> None:
    for path in ("/v1/files", "/v1/files/file-1", "/v1/files/file-1/content", "/v1/batches", "/v1/batches/batch_1"):
        answer = Client().get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key"), path
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.headers["x-request-id"].startswith("req_")


def test_a_scope_that_is_missing_is_named() -> None:
    chat_only = make_client("acme", Scope.CHAT)
    for path, scope in (("/v1/files", "files"), ("/v1/batches", "batches")):
        answer = chat_only.get(path)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["type"]) == (403, "missing_scope", "permission_denied")
        assert f"'{scope}'" in error["message"]
    assert make_client("acme", Scope.FILES).get("/v1/files").status_code == 200
