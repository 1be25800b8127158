"""What is done before anybody works can be done again."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.contrib.auth import get_user_model
from django.core.management import call_command

from apps.ops.actions.stack import prepare_platform as prepare
from apps.ops.actions.stack.prepare_platform import prepare_platform
from apps.providers.models import Provider, Target
from apps.providers.queries import load_catalogue
from apps.spend.models import Price

_NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: LazySettings) -> list[str]:
    """How often static files were collected; the migrations of the test database are not run again."""
    settings.STATIC_ROOT = str(tmp_path / "static")
    calls: list[str] = []

    def call(name: str, **options: object) -> None:
        calls.append(name)
        call_command(name, **options)

    monkeypatch.setattr(prepare, "call_command", call)
    monkeypatch.setattr(prepare, "migrate_database", lambda: None)
    return calls


def _prepare(*, url: str = "http://127.0.0.1:1/v1", key: str = "k1", password: str = "first-password", now: datetime = _NOW) -> None:
    prepare_platform(admin_password=password, local_model_url=url, local_model_key=key, now=now)


@pytest.mark.django_db
def test_a_second_time_changes_only_the_address_and_key_of_the_model(collected: list[str]) -> None:
    _prepare()
    _prepare(url="http://127.0.0.1:2/v1", key="k2", password="second-password", now=_NOW + timedelta(days=1))
    assert Provider.objects.get().base_url == "http://127.0.0.1:2/v1"
    assert Target.objects.get().upstream_model == "smollm2-135m-instruct"
    assert Price.objects.get().effective_from == _NOW
    catalogue = load_catalogue()
    model_id = catalogue.model_id("smollm2-135m-instruct")
    assert model_id is not None
    assert [route.base_url for route in catalogue.routes(model_id)] == ["http://127.0.0.1:2/v1"]
    admin = get_user_model().objects.get(username="admin")
    assert admin.is_superuser
    assert admin.check_password("first-password")


@pytest.mark.django_db
def test_static_files_are_collected_once(collected: list[str]) -> None:
    _prepare()
    _prepare()
    assert collected == ["collectstatic"]


@pytest.mark.django_db
def test_without_a_password_and_a_model_nobody_and_nothing_is_made(collected: list[str]) -> None:
    _prepare(url="", password="")
    assert not get_user_model().objects.exists()
    assert not Provider.objects.exists()


@pytest.mark.django_db
def test_a_superuser_of_somebody_else_stays_the_only_one(collected: list[str]) -> None:
    get_user_model().objects.create_superuser(username="maria", password="of-her-own")
    _prepare()
    assert [user.username for user in get_user_model().objects.all()] == ["maria"]
