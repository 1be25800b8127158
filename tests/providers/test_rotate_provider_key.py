"""A key is replaced from the environment or standard input, and the next catalogue holds it."""

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.accounts.models import AuditEntry
from apps.providers.actions import save_provider_key
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
