"""What `check --deploy` says of the platform's own settings; and each start, of the message store that it finds."""

import io
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

import pytest
import redis
from django.conf import LazySettings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from apps.lib.failpoints import VARIABLE
from apps.lib.redis_client import redis_client
from apps.lib.sealing import seal
from apps.ops.apps import look_at_message_store, refuse_failpoints, require_encryption_keys


def test_failpoints_are_refused_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert refuse_failpoints() == []
    monkeypatch.setenv(VARIABLE, "/tmp/points")
    assert [message.id for message in refuse_failpoints()] == ["aiplatform.E001"]


def test_secrets_need_a_key_that_seals_them(settings: LazySettings) -> None:
    assert require_encryption_keys() == []
    settings.ENCRYPTION_KEYS = {}
    assert [message.id for message in require_encryption_keys()] == ["aiplatform.E002"]
    with pytest.raises(ImproperlyConfigured, match="AIPLATFORM_ENCRYPTION_KEYS"):
        seal("a secret", keys=settings.ENCRYPTION_KEYS, owner="somebody")


@pytest.fixture
def _durable_store() -> Iterator[None]:
    """As it has to be; the suite's own loses everything when it ends, to be quick."""
    redis_client().config_set("appendonly", "yes")
    yield
    redis_client().config_set("appendonly", "no")
    redis_client().config_set("maxmemory-policy", "noeviction")


@pytest.mark.usefixtures("_durable_store")
@pytest.mark.django_db
def test_a_start_is_refused_with_a_store_that_drops_rings_when_it_is_full() -> None:
    look = partial(call_command, "check", tags=[checks.Tags.database], databases=["default"], stdout=io.StringIO(), stderr=io.StringIO())
    look()
    redis_client().config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(SystemCheckError, match=r"E003\) Redis drops what it holds when it is full \(maxmemory-policy allkeys-lru"):
        look()
    redis_client().config_set("maxmemory-policy", "noeviction")
    look()


@pytest.mark.usefixtures("_durable_store")
def test_a_store_that_keeps_nothing_when_it_ends_is_warned_of() -> None:
    assert look_at_message_store(databases=["default"]) == []
    redis_client().config_set("appendonly", "no")
    (said,) = look_at_message_store(databases=["default"])
    assert (said.id, said.level) == ("aiplatform.W004", checks.WARNING)
    assert "appendonly" in said.msg


def test_the_store_is_looked_at_where_stores_are_asked_alone() -> None:
    assert look_at_message_store() == []


def test_a_store_that_does_not_answer_is_warned_of_and_nothing_of_its_address_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    away = redis.Redis(host="127.0.0.1", port=1, username="somebody", password="their password")
    monkeypatch.setattr("apps.ops.queries.message_store.redis_client", lambda: away)
    (said,) = look_at_message_store(databases=["default"])
    assert (said.id, said.level, said.msg) == ("aiplatform.W004", checks.WARNING, "Redis does not answer (ConnectionError).")


def test_a_store_that_does_not_let_us_ask_is_taken_to_be_right(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = urlsplit(settings.REDIS_URL)
    redis_client().execute_command("ACL", "SETUSER", "narrow", "on", ">narrow", "~*", "+ping")
    narrow = redis.Redis(host=str(parts.hostname), port=parts.port or 0, username="narrow", password="narrow")
    monkeypatch.setattr("apps.ops.queries.message_store.redis_client", lambda: narrow)
    try:
        assert narrow.ping()
        assert look_at_message_store(databases=["default"]) == []
    finally:
        narrow.close()
        redis_client().execute_command("ACL", "DELUSER", "narrow")
