"""Whoever reads the table of sessions can't go on with one."""

from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.contrib.sessions.models import Session
from django.test import AsyncClient, Client
from django.utils import timezone

from apps.lib.sessions import SessionStore, hash_key
from tests.factories.accounts import make_office_client, make_user

pytestmark = pytest.mark.django_db


def test_the_table_holds_no_key_that_opens() -> None:
    client = make_office_client()
    key = client.cookies["sessionid"].value
    stored = Session.objects.get().session_key
    assert stored == hash_key(key) != key
    assert client.get("/admin/").status_code == 200
    thief = Client()
    thief.cookies["sessionid"] = stored
    assert thief.get("/admin/").status_code == 302
    client.post("/admin/logout/")
    assert not Session.objects.exists()
    assert client.get("/admin/").status_code == 302


def test_a_session_is_kept_found_renewed_and_forgotten() -> None:
    store = SessionStore()
    store["a"] = 1
    store.save()
    key = store.session_key
    assert key
    assert SessionStore(key)["a"] == 1
    assert (SessionStore().exists(key), SessionStore().exists(hash_key(key))) == (True, False)
    store.cycle_key()
    assert store.session_key != key
    assert (SessionStore(key).get("a"), SessionStore(store.session_key)["a"]) == (None, 1)
    store.flush()
    assert not Session.objects.exists()


def test_a_session_of_an_async_view() -> None:
    """Run so that what is sync in it uses the test's own connection."""
    async_to_sync(_keep_and_forget)()
    assert not Session.objects.exists()


async def _keep_and_forget() -> None:
    store = SessionStore()
    await store.aset("a", 1)
    await store.asave()
    key = store.session_key
    assert key
    assert await SessionStore(key).aget("a") == 1
    assert await SessionStore().aexists(key)
    assert not await SessionStore().aexists(hash_key(key))
    await store.adelete()
    assert await SessionStore(key).aget("a") is None


def test_signing_in_over_asgi() -> None:
    client = AsyncClient()
    async_to_sync(client.aforce_login)(make_user("root", is_superuser=True))
    assert async_to_sync(client.get)("/admin/").status_code == 200


def test_a_session_ends_a_working_day_after_the_sign_in_however_much_is_done_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    make_user("ada")
    client = Client()
    client.post("/admin/login/", {"username": "ada", "password": "a long enough password"})
    # Not before the sign-in: checking a password takes a while.
    start = timezone.now()
    opened = []
    for hours in (1, 4, 7, 7.9, 8.1):
        monkeypatch.setattr(timezone, "now", lambda hours=hours: start + timedelta(hours=hours))
        # This page writes into the session.
        opened.append(client.get("/admin/second-factor/").status_code)
        assert Session.objects.get().expire_date <= start + timedelta(hours=8)
    assert opened == [200, 200, 200, 200, 302]
    # Who gives the password again has a day again.
    client.post("/admin/login/", {"username": "ada", "password": "a long enough password"})
    monkeypatch.setattr(timezone, "now", lambda: start + timedelta(hours=16))
    assert client.get("/admin/second-factor/").status_code == 200


def test_a_password_given_once_more_begins_the_day_anew_and_a_change_of_it_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    client = make_office_client(make_user("ada"))
    start = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: start + timedelta(hours=7))
    form = {"old_password": "a long enough password", "new_password1": "correct horse battery", "new_password2": "correct horse battery"}
    assert client.post("/admin/password_change/", form).status_code == 302
    assert Session.objects.get().expire_date <= start + timedelta(hours=8)
    assert client.post("/admin/login/", {"username": "ada", "password": "correct horse battery"}).status_code == 302
    assert Session.objects.get().expire_date > start + timedelta(hours=14)


def test_a_session_of_before_this_was_kept_goes_on_and_ends_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    client = make_office_client(make_user("ada"))
    store = SessionStore(client.cookies["sessionid"].value)
    store.load()
    data = {name: value for name, value in store.items() if name != "_signed_in_at"}
    Session.objects.update(session_data=store.encode(data))
    start = timezone.now()
    opened = []
    for hours in (1, 8, 9.1):
        monkeypatch.setattr(timezone, "now", lambda hours=hours: start + timedelta(hours=hours))
        opened.append(client.get("/admin/second-factor/").status_code)
    assert opened == [200, 200, 302]
