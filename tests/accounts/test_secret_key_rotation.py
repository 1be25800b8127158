"""SECRET_KEY is replaced while people are signed in and programs call: what was made with the earlier one holds while that is given."""

from base64 import b32decode
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.core.checks import run_checks
from django.test import Client
from django.utils import timezone
from django_otp.oath import totp as code_at

from apps.accounts.actions import (
    authenticate_key,
    begin_second_factor,
    check_code,
    confirm_second_factor,
    renew_recovery_codes,
    revoke_api_key,
)
from apps.accounts.domain.second_factor import CodeRefusedError
from apps.accounts.models import ApiKey, Authenticator, User
from apps.lib.http_errors import ApiError
from tests.factories.accounts import make_api_key, make_client, make_user

pytestmark = pytest.mark.django_db

OLD, NEW = "an-old-secret-key-" * 4, "a-new-secret-key-" * 4


@pytest.fixture
def under(settings: LazySettings) -> Callable[..., None]:
    """Everything that follows has this SECRET_KEY, and these besides."""

    def change(key: str, *fallbacks: str) -> None:
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = key, list(fallbacks)

    change(OLD)
    return change


def needed() -> list[str]:
    found = run_checks(databases=["default"])
    return [message.msg for message in found if message.id in {"aiplatform.W002", "aiplatform.W003"}]


def set_up(user: User) -> list[str]:
    factor = begin_second_factor(user)
    _, codes = confirm_second_factor(user, code=f"{code_at(b32decode(factor.secret)):06}", mark=factor.mark, now=timezone.now())
    return codes


def test_sessions_stay_valid_and_go_over_to_the_new_key(under: Callable[..., None]) -> None:
    make_user("ada", is_superuser=True)
    client = Client()
    assert client.post("/admin/login/", {"username": "ada", "password": "a long enough password"}).status_code == 302
    under(OLD, NEW)
    assert client.get("/admin/").status_code == 200
    under(NEW, OLD)
    assert client.get("/admin/").status_code == 200
    under(NEW)
    assert client.get("/admin/").status_code == 200


def test_without_the_fallback_sessions_and_keys_are_worth_nothing(under: Callable[..., None]) -> None:
    make_user("ada", is_superuser=True)
    client, program = Client(), make_client()
    client.post("/admin/login/", {"username": "ada", "password": "a long enough password"})
    under(NEW)
    assert client.get("/admin/").status_code == 302
    assert program.get("/v1/files").status_code == 401


def test_a_key_that_is_used_once_no_longer_needs_the_fallback(under: Callable[..., None]) -> None:
    used, secret = make_api_key()
    idle, idle_secret = make_api_key()
    now = timezone.now()
    authenticate_key(f"Bearer {secret}", now=now)
    under(OLD, NEW)
    assert authenticate_key(f"Bearer {secret}", now=now).pk == used.pk
    # Written with its last use, so at most once a minute however many processes have which order.
    under(NEW, OLD)
    before = ApiKey.objects.get(pk=used.pk).secret_hash
    authenticate_key(f"Bearer {secret}", now=now + timedelta(seconds=59))
    assert ApiKey.objects.get(pk=used.pk).secret_hash == before
    authenticate_key(f"Bearer {secret}", now=now + timedelta(seconds=61))
    assert needed() == ["1 API keys still need SECRET_KEY_FALLBACKS."]
    under(NEW)
    assert authenticate_key(f"Bearer {secret}", now=now).pk == used.pk
    with pytest.raises(ApiError, match="Incorrect API key"):
        authenticate_key(f"Bearer {idle_secret}", now=now)
    under(NEW, OLD)
    revoke_api_key(key_id=idle.pk, now=now)
    assert needed() == []


def test_a_key_made_by_a_process_that_has_the_new_one_opens_at_one_that_still_has_the_old_one_in_front(under: Callable[..., None]) -> None:
    under(NEW, OLD)
    key, secret = make_api_key()
    under(OLD, NEW)
    assert authenticate_key(f"Bearer {secret}", now=timezone.now()).pk == key.pk
    under(NEW, OLD)
    assert authenticate_key(f"Bearer {secret}", now=timezone.now()).pk == key.pk


def test_recovery_codes_hold_with_the_fallback_and_are_told_until_they_are_renewed(under: Callable[..., None]) -> None:
    user = make_user("ada")
    codes = set_up(user)
    assert needed() == []
    under(NEW, OLD)
    assert needed() == ["The recovery codes of 1 people still need SECRET_KEY_FALLBACKS."]
    check_code(codes[0], user_id=user.pk, now=timezone.now())
    with pytest.raises(CodeRefusedError):
        check_code(codes[0], user_id=user.pk, now=timezone.now())
    Authenticator.objects.update(throttling_failure_timestamp=None)
    fresh = renew_recovery_codes(user, code=codes[1], now=timezone.now())
    assert needed() == []
    under(NEW)
    check_code(fresh[0], user_id=user.pk, now=timezone.now())


def test_nothing_is_told_while_there_is_no_fallback(under: Callable[..., None]) -> None:
    make_api_key()
    under(NEW)
    assert needed() == []
