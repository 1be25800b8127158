"""Send the mails that are due. Rung after each commit that writes one, and by beat, so that a lost ring costs delay.

What is due for one person at once goes as one mail; one mail at a time is claimed, handed over and noted. A sender that is killed
between the last two leaves a claim that is over with its lease: the same tellings are sent again under the same Message-ID, without any
that came since, so that a mailbox which knows that id loses none. What a server refuses for good ends; everything else waits and is
tried again for more than a day.
"""

import random
import smtplib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from time import monotonic
from uuid import NAMESPACE_OID, UUID, uuid5

import structlog
from django.conf import settings
from django.db import transaction
from django.urls import reverse

from apps.lib.ids import public_id, uuid7
from apps.lib.redaction import redact
from apps.lib.shutdown import is_stopping
from apps.lib.sql import server_cursor
from apps.webhooks.actions.mail_connection import MailConnection
from apps.webhooks.domain.mails import Letter, Telling, next_pause, write_letter
from apps.webhooks.models import ALERT_PREFIX, Mail, MailState

log = structlog.get_logger(__name__)

_MAIL_PREFIX = "mail_"
# Longer than a hand-over may take: connecting and each command have their own limit.
_LEASE = timedelta(seconds=180)
_ROUND_SECONDS = 45
_one_at_a_time = Lock()

_AT_ONCE = 50
# Any number that nothing else locks by: claims follow each other, or two senders might share what was lost together between them.
_LOCK = 0x6D61696C73656E64
# Those that were tried as often: what failed together stays together, and keeps its Message-ID.
_CLAIM = """
WITH first AS (
    SELECT recipient, state, claim_id, tries FROM webhooks_mail
    WHERE due_at <= %(now)s AND (state = 'waiting' OR (state = 'sending' AND lease_until <= %(now)s))
    ORDER BY due_at, id LIMIT 1
), together AS (
    SELECT mail.id FROM webhooks_mail AS mail JOIN first ON first.recipient = mail.recipient AND first.state = mail.state
    WHERE mail.due_at <= %(now)s AND mail.tries = first.tries AND (mail.state = 'waiting' OR mail.claim_id = first.claim_id)
    ORDER BY mail.due_at, mail.id LIMIT %(at_once)s FOR UPDATE OF mail
)
UPDATE webhooks_mail AS mail
SET state = 'sending', claim_id = %(claim_id)s, lease_until = %(until)s, tries = tries + 1
FROM webhooks_alert AS alert LEFT JOIN accounts_workspace AS workspace ON workspace.id = alert.workspace_id
WHERE alert.id = mail.alert_id AND mail.id IN (SELECT id FROM together)
RETURNING mail.id, mail.claim_id, mail.tries, alert.id, mail.recipient, mail.is_over, mail.severity, mail.title, mail.text,
          workspace.name, alert.path
"""


@dataclass(frozen=True, slots=True)
class _Claimed:
    mail_id: UUID
    claim_id: UUID
    tries: int
    alert_id: UUID
    recipient: str
    is_over: bool
    severity: str
    title: str
    text: str
    workspace: str | None
    path: str


def send_mails(*, clock: Callable[[], datetime]) -> int:
    """How many tellings were sent. The round ends when nothing is due, after a while, or when the server does not take them."""
    if settings.MAIL_SERVER is None or not _one_at_a_time.acquire(blocking=False):
        return 0
    try:
        with MailConnection(settings.MAIL_SERVER) as connection:
            return _send_due(connection, clock)
    finally:
        _one_at_a_time.release()


def _send_due(connection: MailConnection, clock: Callable[[], datetime]) -> int:
    until, sent = monotonic() + _ROUND_SECONDS, 0
    while monotonic() < until and not is_stopping():
        claimed = _claim(clock())
        if not claimed:
            break
        error = _hand_over(connection, claimed)
        # What is refused for what it says may be refused for one telling of many: then each goes by itself.
        parts = [[one] for one in claimed] if isinstance(error, smtplib.SMTPDataError | ValueError) and len(claimed) > 1 else []
        for part in parts or [claimed]:
            error = _hand_over(connection, part) if parts else error
            _note(part, error, clock())
            sent += 0 if error else len(part)
            if error is not None and not _is_about_recipient(error):
                return sent
    return sent


def _hand_over(connection: MailConnection, claimed: Sequence[_Claimed]) -> Exception | None:
    try:
        connection.send(write_letter(_letter(claimed), sender=settings.MAIL_FROM))
    except (OSError, smtplib.SMTPException, ValueError) as error:
        return error
    return None


def _claim(now: datetime) -> list[_Claimed]:
    with transaction.atomic(), server_cursor() as cursor:
        cursor.execute("SELECT set_config('idle_in_transaction_session_timeout', '10s', true), pg_advisory_xact_lock(%s)", (_LOCK,))
        cursor.execute(_CLAIM, {"claim_id": uuid7(), "until": now + _LEASE, "now": now, "at_once": _AT_ONCE})
        return sorted((_Claimed(*row) for row in cursor), key=lambda one: one.mail_id)


def _letter(claimed: Sequence[_Claimed]) -> Letter:
    ids = [one.mail_id for one in claimed]
    return Letter(
        mail_id=public_id(_MAIL_PREFIX, ids[0] if len(ids) == 1 else uuid5(NAMESPACE_OID, " ".join(map(str, ids)))),
        recipient=claimed[0].recipient,
        tellings=tuple(map(_telling, claimed)),
    )


def _telling(claimed: _Claimed) -> Telling:
    return Telling(
        alert_id=public_id(ALERT_PREFIX, claimed.alert_id),
        is_over=claimed.is_over,
        severity=claimed.severity,
        title=claimed.title,
        text=claimed.text,
        workspace=f"the workspace {claimed.workspace}" if claimed.workspace else "the whole platform",
        link=settings.SITE_URL + claimed.path if claimed.path else "",
        list_link=settings.SITE_URL + reverse("admin:webhooks_alert_change", args=[claimed.alert_id]),
    )


def _note(claimed: Sequence[_Claimed], error: Exception | None, now: datetime) -> None:
    """Nothing when another sender took it over because this one was too slow."""
    ids, claim_id, tries = [one.mail_id for one in claimed], claimed[0].claim_id, claimed[0].tries
    pause = next_pause(tries, chance=random.random())  # noqa: S311 -- jitter
    if error is None:
        values = {"state": MailState.SENT, "ended_at": now, "last_error": ""}
    elif pause is None or _is_for_good(error):
        values = {"state": MailState.FAILED, "ended_at": now, "last_error": _told(error)}
    else:
        values = {"state": MailState.WAITING, "due_at": now + pause, "last_error": _told(error)}
    Mail.objects.filter(id__in=ids, claim_id=claim_id, state=MailState.SENDING).update(lease_until=None, **values)
    if error is None:
        log.info("mail_sent", mail_id=str(ids[0]), tellings=len(ids), tries=tries)
    else:
        log.warning("mail_not_sent", mail_id=str(ids[0]), tellings=len(ids), tries=tries, state=values["state"], error=_told(error))


def _told(error: Exception) -> str:
    """What the server said; a strange one repeats the password that it was given."""
    text = f"{type(error).__name__}: {error}".replace("\0", "")
    return (redact(text, settings.MAIL_SERVER.password) if settings.MAIL_SERVER else text)[:500]


def _is_about_recipient(error: Exception) -> bool:
    """True when the server may take the next one all the same."""
    return isinstance(error, smtplib.SMTPRecipientsRefused | smtplib.SMTPDataError | ValueError)


def _is_for_good(error: Exception) -> bool:
    """Refused by a 5xx answer for this recipient or text; or it can't be written at all."""
    match error:
        case smtplib.SMTPRecipientsRefused():
            return all(code >= 500 for code, _ in error.recipients.values())
        case smtplib.SMTPDataError():
            return error.smtp_code >= 500
        case _:
            return isinstance(error, ValueError)
