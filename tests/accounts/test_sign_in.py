"""Signing in: wrong passwords lock, and whoever has a second factor gets nowhere without it."""

import re
from base64 import b32decode
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.conf import LazySettings
from django.conf import settings as platform
from django.contrib.auth.backends import ModelBackend
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from django_otp.oath import TOTP
from django_otp.oath import totp as code_at

from apps.accounts.actions import begin_second_factor, check_code, confirm_second_factor
from apps.accounts.domain.second_factor import (
    RECOVERY_CODES,
    CodeRefusedError,
    FactorStandsError,
    hash_recovery_code,
    make_recovery_codes,
    match_totp,
)
from apps.accounts.models import AuditEntry, Authenticator, User
from apps.lib.sealing import unseal
from tests.accounts.test_admin_isolation import ask, make_world, pages, site_pages
from tests.crowds import all_at_once
from tests.factories.accounts import make_office_client, make_user
from tests.factories.alerts import make_alert

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(900)]
PASSWORD = "a long enough password"
PAGE = "/admin/second-factor/"


def sign_in(name: str, password: str = PASSWORD, *, client: Client | None = None, address: str = "127.0.0.1") -> Any:
    return (client or Client()).post("/admin/login/", {"username": name, "password": password}, REMOTE_ADDR=address)


class Phone:
    """Somebody's app. Each code counts once, so every next one is of a later moment."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.codes: list[str] = []
        mark = begin_second_factor(user).mark
        row = Authenticator.objects.get(user=user)
        self.totp = TOTP(b32decode(unseal(row.secret_sealed, keys=platform.ENCRYPTION_KEYS, owner=row.seal_owner)))
        now = timezone.now()
        _, self.codes = confirm_second_factor(user, code=self.code(-1, now=now), mark=mark, now=now)

    def code(self, step: int = 0, *, now: datetime | None = None) -> str:
        """Six digits of the present step, of the one before or after it."""
        self.totp.time = (now or timezone.now()).timestamp() + 30 * step
        return f"{self.totp.token():06}"


# --- passwords --------------------------------------------------------------------------------------------------------


def test_the_sixth_try_is_refused_though_its_password_is_right() -> None:
    make_user("ada")
    for _ in range(4):
        assert sign_in("ada", "wrong").status_code == 200
    locked = sign_in("ada", "wrong")
    assert (locked.status_code, locked.headers["Retry-After"]) == (429, "900")
    sixth = sign_in("ada")
    assert sixth.status_code == 429
    assert "Too many wrong passwords" in sixth.content.decode()
    assert "sessionid" not in sixth.cookies
    # Once, however often they go on trying.
    assert list(AuditEntry.objects.filter(verb="locked out").values_list("object_label", flat=True)) == ["ada"]


def test_a_lock_concerns_one_name_from_one_address_and_ends_by_itself_or_by_command() -> None:
    make_user("ada")
    make_user("grace")
    for _ in range(5):
        sign_in("ada", "wrong")
    assert sign_in("grace").status_code == 302
    assert sign_in("ada", address="10.0.0.9").status_code == 302
    for _ in range(5):
        sign_in("ada", "wrong")
    assert sign_in("ada").status_code == 429
    call_command("axes_reset_username", "ada", stdout=StringIO())
    assert sign_in("ada").status_code == 302
    for _ in range(5):
        sign_in("ada", "wrong")
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=15, seconds=1))
    assert sign_in("ada").status_code == 302


def test_an_ipv6_network_is_one_address() -> None:
    make_user("ada")
    tries = [sign_in("ada", "wrong", address=f"2001:db8:0:1::{n:x}").status_code for n in range(1, 41)]
    assert tries == [200] * 4 + [429] * 36
    assert sign_in("ada", address="2001:db8:0:1:ffff::1").status_code == 429
    assert sign_in("ada", address="2001:db8:0:2::1").status_code == 302
    for prefix in ("::ffff:192.0.2.1", "192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"):
        assert sign_in("ada", "wrong", address=prefix).status_code == 200
    assert [sign_in("ada", "wrong", address="192.0.2.1").status_code, sign_in("ada", address="192.0.2.2").status_code] == [429, 302]


def test_what_a_caller_says_of_its_address_counts_for_nothing() -> None:
    make_user("ada")
    for n in range(5):
        Client().post("/admin/login/", {"username": "ada", "password": "wrong"}, headers={"X-Forwarded-For": f"192.0.2.{n}"})
    assert sign_in("ada").status_code == 429


@pytest.mark.django_db(transaction=True)
def test_of_many_tries_at_the_same_moment_no_more_reach_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    look = ModelBackend.authenticate

    def count(self: ModelBackend, request: Any, username: str | None = None, password: str | None = None, **more: Any) -> Any:
        looked.append(username or "")
        return look(self, request, username, password, **more)

    monkeypatch.setattr(ModelBackend, "authenticate", count)
    make_user("ada")
    answers: list[int] = []
    # Names are stripped before they are looked up.
    names = iter(["ada", " ada", "ada ", "\tada"] * 5)
    all_at_once(20, lambda: answers.append(sign_in(next(names), "wrong").status_code))
    assert looked == ["ada"] * 5
    assert sorted(answers) == [200] * 4 + [429] * 16
    assert AccessAttempt.objects.get().failures_since_start == 5


def test_who_does_not_exist_is_locked_as_well_so_that_nobody_learns_who_does() -> None:
    make_user("ada")
    for _ in range(4):
        known, unknown = sign_in("ada", "wrong"), sign_in("nobody", "wrong")
        assert known.status_code == unknown.status_code == 200
    assert sign_in("ada", "wrong").status_code == sign_in("nobody", "wrong").status_code == 429
    # Made-up names would fill a log that nobody can empty.
    assert list(AuditEntry.objects.filter(verb="locked out").values_list("object_label", flat=True)) == ["ada"]


def test_cookies_of_a_session_are_for_http_alone_and_end_after_a_working_day(settings: LazySettings) -> None:
    make_user("ada")
    cookie = sign_in("ada").cookies["sessionid"]
    assert (cookie["httponly"], cookie["samesite"], cookie["max-age"]) == (True, "Lax", 8 * 3600)
    settings.SESSION_COOKIE_SECURE = True
    assert sign_in("ada").cookies["sessionid"]["secure"] is True


# --- the second factor ------------------------------------------------------------------------------------------------


def test_with_the_password_alone_no_page_opens_and_nothing_is_changed() -> None:
    rows = make_world()
    user = make_user("half", is_superuser=True)
    Phone(user)
    client = Client()
    assert sign_in("half", client=client).status_code == 302
    paths = [(page.route, page.path(rows[page.row_model].pk)) for page in pages()]
    paths += [(route, "/" + re.sub("<[^>]*>", "1", route)) for route in site_pages() if "app_label" not in route and "(" not in route]
    entries = AuditEntry.objects.count()
    opened = []
    for route, path in paths:
        if path in {"/admin/login/", PAGE}:
            continue
        for method in ("GET", "POST"):
            status, _ = ask(client, method, path)
            if status not in {301, 302}:
                opened.append((method, route, status))
    assert opened == []
    assert len(paths) > 80
    assert AuditEntry.objects.count() == entries


def test_the_way_in_by_a_code_leads_to_the_page_that_was_asked_for_and_nowhere_else() -> None:
    phone = Phone(make_user("ada"))
    client = Client()
    first = client.post("/admin/login/?next=/admin/jobs/job/", {"username": "ada", "password": PASSWORD}, follow=True)
    assert first.redirect_chain[-1][0] == f"{PAGE}?next=/admin/jobs/job/"
    before = client.session.session_key
    answer = client.post(PAGE, {"code": phone.code(), "next": "/admin/jobs/job/"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/jobs/job/")
    assert client.session.session_key != before
    assert client.get("/admin/jobs/job/").status_code == 200
    other = Client()
    sign_in("ada", client=other)
    away = other.post(PAGE, {"code": phone.codes[0], "next": "https://elsewhere.example/"})
    assert away.headers["Location"] == "/admin/"


def test_nothing_of_an_alert_is_shown_to_who_has_given_only_the_password() -> None:
    title = make_alert().title
    Phone(make_user("ada", is_superuser=True))
    client = Client()
    sign_in("ada", client=client)
    for path in (PAGE, "/admin/%0A", "/admin/nothing-here/"):
        assert title not in client.get(path, follow=True).content.decode()
    assert title in make_office_client(make_user("grace", is_superuser=True)).get("/admin/").content.decode()


def test_a_code_counts_once_and_wrong_ones_make_the_next_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    phone = Phone(make_user("ada"))
    # The first wait is of one second, which may go by while a code is looked at.
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
    code = phone.code()
    check_code(code, user_id=phone.user.pk, now=timezone.now())
    with pytest.raises(CodeRefusedError, match="not the code of this moment"):
        check_code(code, user_id=phone.user.pk, now=timezone.now())
    with pytest.raises(CodeRefusedError, match="looked at in"):
        check_code(phone.code(1), user_id=phone.user.pk, now=timezone.now())
    Authenticator.objects.update(throttling_failure_count=11)
    with pytest.raises(CodeRefusedError) as refused:
        check_code(phone.codes[0], user_id=phone.user.pk, now=timezone.now())
    assert 1000 < int(re.findall(r"in (\d+) s", str(refused.value))[0]) <= 1024
    Authenticator.objects.update(throttling_failure_timestamp=timezone.now() - timedelta(seconds=1025))
    check_code(phone.code(1), user_id=phone.user.pk, now=timezone.now())
    assert Authenticator.objects.get().throttling_failure_count == 0


def test_a_recovery_code_counts_once_however_it_is_typed() -> None:
    phone = Phone(make_user("ada"))
    check_code(f" {phone.codes[3].upper().replace('-', ' ')} ", user_id=phone.user.pk, now=timezone.now())
    with pytest.raises(CodeRefusedError):
        check_code(phone.codes[3], user_id=phone.user.pk, now=timezone.now())
    row = Authenticator.objects.get()
    assert len(row.recovery_hashes) == RECOVERY_CODES - 1
    assert AuditEntry.objects.get(verb="used a recovery code").changes == {
        "recovery codes left": {"before": None, "after": RECOVERY_CODES - 1}
    }


def test_neither_secret_nor_recovery_codes_stand_in_the_database() -> None:
    phone = Phone(make_user("ada"))
    row = Authenticator.objects.values().get()
    kept = str(row) + str(list(AuditEntry.objects.values()))
    secret = unseal(row["secret_sealed"], keys=platform.ENCRYPTION_KEYS, owner=f"authenticator:{phone.user.pk}")
    assert secret not in kept
    assert [code for code in phone.codes if code in kept or code.replace("-", "") in kept] == []


def test_set_up_renewed_and_switched_off_on_its_page() -> None:
    user = make_user("ada")
    client = make_office_client(user)
    page = client.get(PAGE).content.decode()
    assert 'src="data:image/svg+xml' in page
    secret = re.findall(r"<code>([A-Z2-7]{32})</code>", page)[0]
    assert re.findall(r"<code>([A-Z2-7]{32})</code>", client.get(PAGE).content.decode()) == [secret]
    assert 'role="alert"' in client.post(PAGE, {"code": "000000 "}).content.decode()
    user.refresh_from_db()
    assert user.second_factor_since is None
    Authenticator.objects.update(throttling_failure_timestamp=None)
    codes = _codes(client.post(PAGE, {"code": f"{code_at(b32decode(secret)):06}"}))
    assert len(set(codes)) == RECOVERY_CODES
    # This session goes on; others have to show a code.
    assert client.get("/admin/").status_code == 200
    assert make_office_client(user).get("/admin/").status_code == 302
    fresh = _codes(client.post(PAGE, {"action": "renew", "code": codes[0]}))
    assert not set(fresh) & set(codes)
    assert 'role="alert"' in client.post(PAGE, {"action": "end", "code": codes[1]}).content.decode()
    Authenticator.objects.update(throttling_failure_timestamp=None)
    assert client.post(PAGE, {"action": "end", "code": fresh[0]}).status_code == 302
    assert not Authenticator.objects.exists()
    assert make_office_client(user).get("/admin/").status_code == 200
    verbs = list(AuditEntry.objects.order_by("id").values_list("verb", flat=True))
    assert verbs == [
        "set up the second factor", "used a recovery code", "renewed the recovery codes", "used a recovery code",
        "switched the second factor off",
    ]  # fmt: skip


def _codes(answer: Any) -> list[str]:
    assert answer.status_code == 200
    return re.findall(r"<code>(\w{4}-\w{4}-\w{4})</code>", answer.content.decode())


def test_a_secret_that_another_session_saw_is_never_confirmed() -> None:
    user = make_user("ada")
    stranger, ada = make_office_client(user), make_office_client(user)
    seen = _secret(stranger)
    own = _secret(ada)
    assert seen != own
    answer = stranger.post(PAGE, {"code": f"{code_at(b32decode(own)):06}"})
    assert "begun anew" in answer.content.decode()
    user.refresh_from_db()
    assert user.second_factor_since is None


def _secret(client: Client) -> str:
    return re.findall(r"<code>([A-Z2-7]{32})</code>", client.get(PAGE).content.decode())[0]


def test_a_second_click_and_the_form_of_another_tab_change_nothing() -> None:
    user = make_user("ada")
    client = make_office_client(user)
    secret = _secret(client)
    client.post(PAGE, {"code": f"{code_at(b32decode(secret)):06}"})
    hashes = Authenticator.objects.get().recovery_hashes
    again = client.post(PAGE, {"code": f"{code_at(b32decode(secret)):06}", "next": "/admin/jobs/job/"})
    assert (again.status_code, again.headers["Location"]) == (302, "/admin/jobs/job/")
    assert Authenticator.objects.get().recovery_hashes == hashes
    with pytest.raises(FactorStandsError):
        begin_second_factor(user)


def test_recovery_codes_open_when_the_secret_of_the_app_does_not(settings: LazySettings) -> None:
    phone = Phone(make_user("ada"))
    settings.ENCRYPTION_KEYS = {"new": bytes(32)}
    with pytest.raises(CodeRefusedError, match="can't be read"):
        check_code(phone.code(1), user_id=phone.user.pk, now=timezone.now())
    check_code(phone.codes[0], user_id=phone.user.pk, now=timezone.now())


def test_where_it_is_required_nobody_gets_further_than_to_set_it_up(settings: LazySettings) -> None:
    settings.SECOND_FACTOR = "required"
    client = Client()
    make_user("ada", is_superuser=True)
    sign_in("ada", client=client)
    first = client.get("/admin/jobs/job/", follow=True)
    assert first.redirect_chain[-1][0] == f"{PAGE}?next=/admin/jobs/job/"
    page = first.content.decode()
    assert "asks everybody" in page
    secret = re.findall(r"<code>([A-Z2-7]{32})</code>", page)[0]
    client.post(PAGE, {"code": f"{code_at(b32decode(secret)):06}"})
    assert client.get("/admin/jobs/job/").status_code == 200


def test_strangers_and_consumers_have_no_such_page_and_whoever_has_may_leave() -> None:
    assert Client().get(PAGE).headers["Location"].startswith("/admin/login/")
    assert make_office_client(make_user("eve", is_staff=False)).get(PAGE).headers["Location"].startswith("/admin/login/")
    client = make_office_client(make_user("ada"))
    assert client.post(PAGE, {"action": "leave"}).status_code == 302
    assert "_auth_user_id" not in client.session


def test_a_superuser_and_a_command_switch_it_off_for_who_lost_the_phone() -> None:
    ada, grace = make_user("ada"), make_user("grace")
    Phone(ada)
    Phone(grace)
    boss = make_office_client()
    form = {"action": "reset_second_factor", "_selected_action": [str(ada.pk)]}
    assert "Be sure who asks" in boss.post("/admin/accounts/user/", form).content.decode()
    boss.post("/admin/accounts/user/", form | {"confirmed": "yes", "reason": "new phone, seen in person"})
    assert sorted(User.objects.exclude(second_factor_since=None).values_list("username", flat=True)) == ["grace"]
    out = StringIO()
    call_command("reset_second_factor", "grace", "--reason", "lost", stdout=out)
    call_command("reset_second_factor", "grace", "--reason", "again", stdout=out)
    assert out.getvalue().splitlines() == ["The second factor of grace is off.", "grace has no second factor."]
    with pytest.raises(CommandError, match="Nobody is called"):
        call_command("reset_second_factor", "nobody", "--reason", "lost")
    entries = AuditEntry.objects.filter(verb="switched the second factor off").order_by("id")
    assert list(entries.values_list("actor_label", "reason")) == [
        ("root", "new phone, seen in person"), ("manage.py reset_second_factor", "lost"),
    ]  # fmt: skip


def test_nobody_switches_their_own_off_without_a_code() -> None:
    root, other = make_user("root", is_superuser=True), make_user("other", is_superuser=True)
    phone = Phone(root)
    client = Client()
    sign_in("root", client=client)
    client.post(PAGE, {"code": phone.code()})
    form = {"action": "reset_second_factor", "_selected_action": [str(root.pk)], "confirmed": "yes", "reason": "mine"}
    page = client.post("/admin/accounts/user/", form, follow=True).content.decode()
    assert "switched off on its page, by a code" in page
    assert 'role="alert"' in client.post(PAGE, {"action": "end"}).content.decode()
    root.refresh_from_db()
    assert root.second_factor_since is not None
    make_office_client(other).post("/admin/accounts/user/", form)
    root.refresh_from_db()
    assert root.second_factor_since is None
    assert AuditEntry.objects.get(verb="switched the second factor off").actor_label == "other"


def test_five_wrong_codes_in_a_row_stand_in_the_audit_log_once() -> None:
    phone = Phone(make_user("ada"))
    for _ in range(7):
        Authenticator.objects.update(throttling_failure_timestamp=None)
        with pytest.raises(CodeRefusedError):
            check_code("no code", user_id=phone.user.pk, now=timezone.now())
    told = AuditEntry.objects.filter(verb__contains="wrong codes")
    assert list(told.values_list("verb", "object_label")) == [("gave 5 wrong codes in a row", "ada")]


# --- codes, without a database ----------------------------------------------------------------------------------------


def test_codes_are_those_of_the_standard_and_none_is_taken_twice() -> None:
    # RFC 6238, appendix B, SHA-1, the last six of its eight digits.
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    for at, code in ((59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (2000000000, "279037")):
        matched = match_totp(code, secret=secret, last_step=-1, drift=0, at=at)
        assert matched is not None
        assert matched.step == at // 30
        assert match_totp(code, secret=secret, last_step=matched.step, drift=0, at=at) is None
        assert match_totp(code, secret=secret, last_step=-1, drift=0, at=at + 90) is None
    for nonsense in ("", "28708", "2870820", "²87082", "abcdef", "-87082"):
        assert match_totp(nonsense, secret=secret, last_step=-1, drift=0, at=59) is None


def test_recovery_codes_are_many_and_their_hashes_need_the_installation() -> None:
    codes = make_recovery_codes()
    assert len({*codes}) == RECOVERY_CODES
    assert hash_recovery_code(codes[0], pepper="a") != hash_recovery_code(codes[0], pepper="b")
