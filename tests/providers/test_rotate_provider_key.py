"""A key is replaced from the environment or standard input, and the next catalogue holds it."""

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from apps.accounts.models import AuditEntry
from apps.providers.actions import declare_provider, pause, rotate_provider_key, save_provider_key
from apps.providers.actions.save_provider_key import read_provider_key
from apps.providers.domain.calls import Route
from apps.providers.models import Model
from apps.providers.queries import load_catalogue
from tests.factories.providers import make_model, make_provider

pytestmark = pytest.mark.django_db


@pytest.fixture
def model() -> Model:
    provider = make_provider(requests_per_minute=600)
    save_provider_key(provider_id=provider.id, api_key="sk-old")
    return make_model("small", provider)


def route(model: Model) -> Route:
    return load_catalogue().routes(model.id)[0]


def test_rotate_from_the_environment(model: Model, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("NEW_KEY", " sk-new\n")
    before = route(model)
    call_command("rotate_provider_key", "primary", from_env="NEW_KEY")
    assert (before.api_key, route(model).api_key) == ("sk-old", "sk-new")
    assert "sk-new" not in capsys.readouterr().out


def test_a_new_key_is_a_new_version_of_the_limits_which_ends_a_pause(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEW_KEY", "sk-new")
    before = route(model)
    call_command("rotate_provider_key", "primary", from_env="NEW_KEY")
    after = route(model)
    assert before.provider_limits.version != after.provider_limits.version
    assert before.target_limits.version != after.target_limits.version
    assert after.provider_limits.requests_per_minute == 600


def test_rotate_from_standard_input_stands_in_the_audit_log(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("sk-typed\n"))
    call_command("rotate_provider_key", "primary")
    assert route(model).api_key == "sk-typed"
    entry = AuditEntry.objects.get(object_type="provider")
    assert (entry.actor_kind, entry.verb, entry.object_label) == ("command", "rotate key", "primary")
    assert "sk-typed" not in str(entry.__dict__)


def test_a_file_that_is_applied_in_the_same_moment_brings_neither_the_old_key_back_nor_takes_a_pause_away(model: Model) -> None:
    provider = model.targets.get().provider
    others: list[str] = []

    def meanwhile(execute: Any, sql: str, *arguments: Any) -> Any:
        """Between its reading and its writing somebody else commits."""
        if sql.startswith('UPDATE "providers_provider"') and not others:
            others.append(sql)
            rotate_provider_key(name="primary", api_key="sk-newer")
            pause(provider_id=provider.id, now=timezone.now(), reason="maintenance")
        return execute(sql, *arguments)

    with connection.execute_wrapper(meanwhile):
        told = declare_provider(name="primary", values={"requests_per_minute": 300}, api_key=None)
    assert told == ["provider primary: requests_per_minute 600 -> 300"]
    assert others
    provider.refresh_from_db()
    assert read_provider_key(provider_id=provider.id) == "sk-newer"
    assert (provider.requests_per_minute, provider.paused_reason) == (300, "maintenance")


@pytest.mark.parametrize(
    ("arguments", "typed", "told"),
    [
        ({"name": "nobody"}, "sk-new", "no provider 'nobody'"),
        ({"name": "primary"}, "\n", "is empty"),
        ({"name": "primary"}, "sk-ü", "can't be sent"),
        ({"name": "primary", "from_env": "NOT_SET_ANYWHERE"}, "sk-new", "NOT_SET_ANYWHERE, which is not set"),
    ],
)
def test_rotate_refuses_and_leaves_the_old_key(
    model: Model, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], typed: str, told: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    given = dict(arguments)
    with pytest.raises(CommandError, match=told):
        call_command("rotate_provider_key", given.pop("name"), **given)
    assert route(model).api_key == "sk-old"
