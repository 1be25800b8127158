"""Alerts by e-mail, over real SMTP: to whom, what, once, and again until it is taken."""

import datetime as dt
import ssl
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.db import transaction
from django.test import override_settings
from django.utils import timezone

from apps.accounts.models import Role, User
from apps.lib.ids import uuid7
from apps.lib.mail_server import read_mail_server
from apps.lib.ports import free_port
from apps.webhooks.actions import resolve_alert, send_mails
from apps.webhooks.actions.mail_connection import MailConnection
from apps.webhooks.domain.alerts import Severity
from apps.webhooks.domain.mails import PAUSES
from apps.webhooks.models import Mail, MailState
from tests.factories.accounts import make_user, make_workspace
from tests.factories.alerts import PLATFORM, make_alert
from tests.webhooks.mail_servers import Post, receiving_mail
from tests.webhooks.receivers import Clock

pytestmark = pytest.mark.django_db


def person(name: str, *, address: str | None = None, **values: Any) -> User:
    user = make_user(name, **values)
    User.objects.filter(pk=user.pk).update(email=f"{name}@example.com" if address is None else address)
    return user


@pytest.fixture
def post() -> Iterator[Post]:
    with receiving_mail() as found:
        person("ada", acme=Role.OWNER)
        yield found


def states() -> list[str]:
    return list(Mail.objects.order_by("id").values_list("state", flat=True))


def test_owners_get_what_concerns_their_workspace_and_superusers_the_rest(post: Post) -> None:
    person("grace", acme=Role.MEMBER)
    person("edsger", globex=Role.OWNER)
    person("root", is_superuser=True)
    person("silent", address="", acme=Role.OWNER)
    gone = person("gone", acme=Role.OWNER)
    User.objects.filter(pk=gone.pk).update(is_active=False)
    make_alert()
    make_alert(PLATFORM)
    assert send_mails(clock=Clock()) == 2
    assert [message["To"] for message in post.got] == ["ada@example.com", "root@example.com"]
    assert "the workspace acme" in post.got[0].get_content()
    assert "the whole platform" in post.got[1].get_content()
    assert post.connections == 1


@override_settings(SITE_URL="https://platform.example.com")
def test_it_says_what_happened_and_what_to_do(post: Post) -> None:
    alert = make_alert(title="Zwölf of 300\r\nBcc: thief@example.com", text="Look.\n.\nDecide.")
    send_mails(clock=Clock())
    (message,) = post.got
    assert message["Subject"] == "[aiplatform] Warning: Zwölf of 300 Bcc: thief@example.com"
    assert (message["From"], message["Bcc"]) == ("aiplatform <alerts@example.com>", None)
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"].endswith("@example.com>")
    text = message.get_content().replace("\r\n", "\n")
    assert "Look.\n.\nDecide." in text
    assert "Look closer: https://platform.example.com/admin/jobs/item/dead/" in text
    assert f"https://platform.example.com/admin/webhooks/alert/{alert.pk}/change/" in text


def test_raised_once_worse_once_over_once(post: Post) -> None:
    sent = 0
    for severity in (Severity.WARNING, Severity.WARNING, Severity.CRITICAL):
        alert = make_alert(severity=severity)
        sent += send_mails(clock=Clock())
    resolve_alert(workspace_id=alert.workspace_id, fingerprint="job:1", now=timezone.now())
    assert sent + send_mails(clock=Clock()) == 3
    assert send_mails(clock=Clock()) == 0
    subjects = [message["Subject"].split(":")[0] for message in post.got]
    assert subjects == ["[aiplatform] Warning", "[aiplatform] Critical", "[aiplatform] Over"]
    assert len({message["Message-ID"] for message in post.got}) == 3
    assert len({message["References"] for message in post.got}) == 1


def test_fifty_alerts_at_once_are_one_mail_to_each(post: Post) -> None:
    person("grace", acme=Role.OWNER)
    for number in range(49):
        make_alert(fingerprint=f"job:{number}", title=f"Job {number} has dead items.")
    make_alert(fingerprint="bad", severity=Severity.CRITICAL, title="Something poisonous.")
    resolve_alert(workspace_id=make_workspace().id, fingerprint="job:0", now=timezone.now())
    # Fifty in one mail; how the first one ended is told with the rest.
    assert send_mails(clock=Clock()) == 2 * 51
    assert sorted(message["To"] for message in post.got) == ["ada@example.com"] * 2 + ["grace@example.com"] * 2
    first, second = [message for message in post.got if message["To"] == "ada@example.com"]
    assert first["Subject"] == "[aiplatform] 50 alerts: 1 critical, 49 warning"
    assert second["Subject"] == "[aiplatform] Over: Job 0 has dead items."
    text = first.get_content().replace("\r\n", "\n")
    for number in range(49):
        # In the list on top, and with its text.
        assert text.count(f"Warning: Job {number} has dead items.\n") == 2
    assert "50. Critical: Something poisonous." in text
    assert first["References"] is None
    assert set(states()) == {MailState.SENT}
    assert send_mails(clock=Clock()) == 0


def test_what_a_killed_sender_had_comes_again_as_it_was_and_what_came_since_apart(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    for number in range(3):
        make_alert(fingerprint=f"job:{number}")
    hand_over = MailConnection.send

    def die(connection: MailConnection, message: Any) -> None:
        hand_over(connection, message)
        raise Killed

    clock = Clock()
    monkeypatch.setattr(MailConnection, "send", die)
    with pytest.raises(Killed):
        send_mails(clock=clock)
    monkeypatch.setattr(MailConnection, "send", hand_over)
    make_alert(fingerprint="since")
    clock.now = timezone.now()
    assert send_mails(clock=clock) == 1
    clock.now += timedelta(minutes=4)
    assert send_mails(clock=clock) == 3
    first, since, again = post.got
    assert first["Message-ID"] == again["Message-ID"] != since["Message-ID"]
    assert first.get_content() == again.get_content()
    assert set(states()) == {MailState.SENT}


def test_one_telling_that_is_refused_holds_up_no_other(post: Post) -> None:
    for number in range(4):
        make_alert(fingerprint=f"job:{number}", title="Forbidden word" if number == 2 else f"Job {number}")
    post.refuses = "Forbidden word"
    assert send_mails(clock=Clock()) == 3
    assert [message["Subject"].split(": ")[1] for message in post.got] == ["Job 0", "Job 1", "Job 3"]
    assert sorted(states()) == ["failed", "sent", "sent", "sent"]


def test_without_a_server_nothing_is_written() -> None:
    person("ada", acme=Role.OWNER)
    make_alert()
    assert not Mail.objects.exists()
    assert send_mails(clock=Clock()) == 0


def test_an_alert_that_was_not_committed_tells_nobody(post: Post) -> None:
    with transaction.atomic():
        make_alert()
        transaction.set_rollback(True)
    assert send_mails(clock=Clock()) == 0
    assert post.got == []


def test_a_server_that_is_down_loses_nothing(post: Post) -> None:
    for number in range(5):
        make_alert(fingerprint=f"job:{number}", title=f"Job {number}")
    clock = Clock()
    with override_settings(MAIL_SERVER=read_mail_server(f"smtp://127.0.0.1:{free_port()}")):
        assert send_mails(clock=clock) == 0
        clock.now += timedelta(minutes=1)
        assert send_mails(clock=clock) == 0
    assert set(states()) == {MailState.WAITING}
    assert Mail.objects.filter(last_error__contains="refused", tries=2).count() == 5
    clock.now += timedelta(hours=3)
    assert send_mails(clock=clock) == 5
    assert len(post.got) == 1
    assert all(f"Job {number}" in post.got[0].get_content() for number in range(5))


def test_after_ten_tries_it_is_given_up(post: Post) -> None:
    make_alert()
    clock = Clock()
    post.data = "451 come again"
    for _ in PAUSES:
        assert states() == [MailState.WAITING]
        send_mails(clock=clock)
        clock.now += timedelta(hours=24)
    mail = Mail.objects.get()
    assert (mail.state, mail.tries) == (MailState.FAILED, len(PAUSES))
    assert "come again" in mail.last_error


def test_one_who_is_refused_for_good_holds_nobody_up(post: Post) -> None:
    person("bad", acme=Role.OWNER)
    post.recipient = lambda address: "550 unknown" if "bad@" in address else "250 ok"
    make_alert()
    assert send_mails(clock=Clock()) == 1
    assert dict(Mail.objects.values_list("recipient", "state")) == {"ada@example.com": "sent", "bad@example.com": "failed"}


def test_one_who_is_greylisted_waits_alone(post: Post) -> None:
    person("bad", acme=Role.OWNER)
    post.recipient = lambda address: "450 later" if "bad@" in address else "250 ok"
    make_alert()
    assert send_mails(clock=Clock()) == 1
    assert dict(Mail.objects.values_list("recipient", "state")) == {"ada@example.com": "sent", "bad@example.com": "waiting"}


def test_when_nobody_knows_whether_it_was_taken_it_comes_again_under_its_id(post: Post) -> None:
    make_alert()
    clock = Clock()
    post.hangs_up_after_data = True
    assert send_mails(clock=clock) == 0
    post.hangs_up_after_data = False
    clock.now += timedelta(minutes=1)
    assert send_mails(clock=clock) == 1
    assert [message["Message-ID"] for message in post.got] == [post.got[0]["Message-ID"]] * 2


def test_a_killed_senders_claim_is_taken_over_after_its_lease_and_not_before(post: Post) -> None:
    make_alert()
    clock = Clock()
    Mail.objects.update(state=MailState.SENDING, claim_id=uuid7(), lease_until=clock.now + timedelta(seconds=180), tries=1)
    assert send_mails(clock=clock) == 0
    clock.now += timedelta(seconds=180)
    assert send_mails(clock=clock) == 1
    assert states() == [MailState.SENT]


def test_who_was_overtaken_writes_nothing(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    make_alert()
    hand_over = MailConnection.send

    def slowly(connection: MailConnection, message: Any) -> None:
        hand_over(connection, message)
        Mail.objects.update(claim_id=uuid7(), last_error="another has it")

    monkeypatch.setattr(MailConnection, "send", slowly)
    send_mails(clock=Clock())
    mail = Mail.objects.get()
    assert (mail.state, mail.last_error, len(post.got)) == (MailState.SENDING, "another has it", 1)


def test_it_logs_in_and_a_wrong_password_waits() -> None:
    person("ada", acme=Role.OWNER)
    with receiving_mail(login="us:p%40ss@", password="p@ss") as post:
        make_alert()
        assert send_mails(clock=Clock()) == 1
        assert post.logins == [("us", "p@ss")]
        post.password = "another"
        make_alert(fingerprint="job:2")
        assert send_mails(clock=Clock()) == 0
    assert Mail.objects.get(state=MailState.WAITING).last_error.startswith("SMTPAuthenticationError")


def test_what_passes_a_relay_unencrypted_is_not_said_where_tls_was_asked_for() -> None:
    person("ada", acme=Role.OWNER)
    with receiving_mail(scheme="smtp+tls") as post:
        make_alert()
        assert send_mails(clock=Clock()) == 0
        assert (post.got, post.logins) == ([], [])


def test_a_certificate_of_nobody_knows_whom_is_refused(tmp_path: Path) -> None:
    person("ada", acme=Role.OWNER)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(tmp_path))
    with receiving_mail(scheme="smtp+tls", tls=context) as post:
        make_alert()
        assert send_mails(clock=Clock()) == 0
        assert "CERTIFICATE_VERIFY_FAILED" in Mail.objects.get().last_error
        assert post.got == []


def test_starttls_with_a_good_certificate_is_spoken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    person("ada", acme=Role.OWNER)
    certificate = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with receiving_mail(scheme="smtp+tls", tls=context) as post:
        make_alert()
        assert send_mails(clock=Clock()) == 1
        assert len(post.got) == 1


def _certificate(folder: Path) -> Path:
    """One that signs itself, with its key, for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(x509.random_serial_number())
    built = built.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    built = built.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    certificate = built.sign(key, hashes.SHA256())
    file = folder / "certificate.pem"
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + secret)
    return file


def test_into_the_log() -> None:
    person("ada", acme=Role.OWNER)
    with override_settings(MAIL_SERVER=read_mail_server("console://")):
        make_alert()
        assert send_mails(clock=Clock()) == 1


def test_nobody_with_an_address_is_no_error(post: Post) -> None:
    make_alert(make_workspace("globex"))
    assert send_mails(clock=Clock()) == 0
    assert post.got == []
