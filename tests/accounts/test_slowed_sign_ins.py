"""One address that tries many names is slowed, and told of; who is signed in, and who is elsewhere, doesn't notice."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from math import ceil
from typing import Any

import pytest
import redis
from django.contrib.auth.backends import ModelBackend
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from apps.accounts.domain.guesses import PASSWORDS
from apps.accounts.queries import read_refusals
from apps.lib import throttling
from apps.lib.redis_client import redis_client
from apps.ops.actions.watch_conditions import watch_conditions
from apps.webhooks.models import Alert
from tests.crowds import all_at_once
from tests.factories.accounts import make_user

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(300)]
HOME, OFFICE = "198.51.100.7", "203.0.113.9"
MOST = 5
PASSWORD = "a long enough password"


@pytest.fixture(autouse=True)
def _few(settings: Any) -> Iterator[None]:
    settings.WRONG_PASSWORDS_PER_HOUR = MOST
    # These look at what is counted, not at how passwords are kept.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    _forget()
    yield
    _forget()


def _forget() -> None:
    """Who was slowed would be told of in the tests after these too."""
    client = redis_client()
    client.delete(PASSWORDS.counts, PASSWORDS.slowed, *client.keys(PASSWORDS.bucket.format(origin="*")))


def sign_in(name: str, password: str = "wrong", *, address: str = HOME, client: Client | None = None) -> Any:
    return (client or Client()).post(reverse("admin:login"), {"username": name, "password": password}, REMOTE_ADDR=address)


def statuses(number: int, **options: Any) -> list[int]:
    return [sign_in(f"name-{n}", **options).status_code for n in range(number)]


def test_the_sixth_name_from_one_address_waits_whatever_the_password() -> None:
    make_user("ada")
    assert statuses(MOST) == [200] * MOST
    assert sign_in("ada", PASSWORD).status_code == 429
    assert sign_in("ada", PASSWORD, address=OFFICE).status_code == 302


def test_the_page_says_when_to_come_back_and_what_to_do() -> None:
    statuses(MOST)
    answer = sign_in("ada")
    page = answer.content.decode()
    assert 0 < int(answer.headers["Retry-After"]) <= 3600 / MOST
    assert 'role="alert"' in page
    assert f"Try again in {ceil(int(answer.headers['Retry-After']) / 60)} minutes" in page
    assert "Superusers have been told" in page


def test_a_password_that_is_not_looked_at_is_not_told_by_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    make_user("ada")
    statuses(MOST)
    looked: list[str] = []
    monkeypatch.setattr(ModelBackend, "authenticate", lambda *_, username, **__: looked.append(username))
    right, wrong = sign_in("ada", PASSWORD), sign_in("ada")
    assert (right.status_code, right.headers["Retry-After"]) == (wrong.status_code, wrong.headers["Retry-After"])
    assert looked == []


def test_right_passwords_cost_nothing_and_who_is_signed_in_goes_on() -> None:
    make_user("ada")
    client = Client()
    assert [sign_in("ada", PASSWORD, client=client).status_code for _ in range(3 * MOST)] == [302] * 3 * MOST
    assert not redis_client().exists(PASSWORDS.bucket.format(origin=HOME))
    assert statuses(MOST + 1) == [200] * MOST + [429]
    assert client.get(reverse("admin:index"), REMOTE_ADDR=HOME).status_code == 200
    assert Client().get(reverse("admin:login"), REMOTE_ADDR=HOME).status_code == 200


def test_a_session_is_no_way_to_more_tries() -> None:
    make_user("ada")
    client = Client()
    sign_in("ada", PASSWORD, client=client)
    assert statuses(MOST + 1, client=client) == [200] * MOST + [429]


def test_an_ipv6_network_is_one_address() -> None:
    tries = [sign_in(f"name-{n}", address=f"2001:db8::{n}").status_code for n in range(MOST + 1)]
    assert tries == [200] * MOST + [429]
    assert sign_in("ada", address="2001:db8:0:1::1").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_of_many_names_at_the_same_moment_no_more_are_looked_at() -> None:
    names, answers = count(), list[int]()
    all_at_once(3 * MOST, lambda: answers.append(sign_in(f"name-{next(names)}").status_code))
    assert sorted(answers) == [200] * MOST + [429] * 2 * MOST


def test_zero_means_no_limit(settings: Any) -> None:
    settings.WRONG_PASSWORDS_PER_HOUR = 0
    assert set(statuses(3 * MOST)) == {200}


def test_without_redis_nobody_is_slowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "_client", lambda: redis.Redis(port=1, socket_connect_timeout=0.25))
    monkeypatch.setattr(throttling._Rest, "until", 0.0)
    assert set(statuses(2 * MOST)) == {200}


def test_people_are_told_while_it_goes_on_and_the_metrics_count_it() -> None:
    watch_conditions(now=timezone.now())
    assert not Alert.objects.filter(kind="sign_ins.slowed").exists()
    statuses(MOST + 3)
    watch_conditions(now=timezone.now())
    alert = Alert.objects.get(kind="sign_ins.slowed")
    assert (alert.workspace_id, alert.data) == (None, {"origins": [HOME]})
    assert HOME in alert.title
    assert read_refusals(PASSWORDS, since=timezone.now() - timedelta(minutes=5)).slowed == 3
    text = Client().get("/metrics").content.decode()
    values = {sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples}
    assert values["aiplatform_slowed_sign_ins_total"] == 3
    watch_conditions(now=timezone.now() + timedelta(minutes=8))
    assert not Alert.objects.open().filter(kind="sign_ins.slowed").exists()
