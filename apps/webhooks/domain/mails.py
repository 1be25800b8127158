"""What an e-mail about alerts says, and when it is tried again."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from email.utils import parseaddr

# Seconds before each try, ten in all; the last comes about 32 hours after the first.
PAUSES = (0, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 57_600)
JITTER = 0.1


# The worst first in a subject.
_SEVERITIES = ("critical", "warning", "info")


@dataclass(frozen=True, slots=True)
class Telling:
    """What is said of one alert."""

    alert_id: str
    is_over: bool
    severity: str
    title: str
    text: str
    workspace: str
    link: str
    list_link: str

    @property
    def said(self) -> str:
        return "Over" if self.is_over else self.severity.capitalize()


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail to one person, of one alert or several. `mail_id` makes its Message-ID: the same for each try of the same tellings."""

    mail_id: str
    recipient: str
    tellings: tuple[Telling, ...]


def next_pause(tries: int, *, chance: float) -> timedelta | None:
    """How long to wait after so many tries; None: that was the last. `chance` is from 0 to 1."""
    if tries >= len(PAUSES):
        return None
    return timedelta(seconds=PAUSES[tries] * (1 - JITTER + 2 * JITTER * chance))


def write_letter(letter: Letter, *, sender: str) -> EmailMessage:
    """Plain text. Should it come twice (a sender was killed before it could note it), mail programs know it by its Message-ID."""
    host = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    message = EmailMessage()
    message["Subject"] = f"[aiplatform] {_subject(letter.tellings)}"
    message["From"] = sender
    message["To"] = letter.recipient
    message["Message-ID"] = f"<{letter.mail_id}@{host}>"
    if len({telling.alert_id for telling in letter.tellings}) == 1:
        message["References"] = f"<{letter.tellings[0].alert_id}@{host}>"
    # Nobody's out-of-office note is to answer it.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_body(letter.tellings))
    return message


def _subject(tellings: tuple[Telling, ...]) -> str:
    if len(tellings) == 1:
        return f"{tellings[0].said}: {tellings[0].title}"
    counts = Counter("over" if telling.is_over else telling.severity for telling in tellings)
    return f"{len(tellings)} alerts: " + ", ".join(f"{counts[word]} {word}" for word in (*_SEVERITIES, "over") if counts[word])


def _body(tellings: tuple[Telling, ...]) -> str:
    if len(tellings) == 1:
        return _section(tellings[0], tellings[0].title)
    titles = "\n".join(f"{number}. {telling.said}: {telling.title}" for number, telling in enumerate(tellings, 1))
    sections = [_section(telling, f"{number}. {telling.said}: {telling.title}") for number, telling in enumerate(tellings, 1)]
    return "\n\n".join([titles, *sections])


def _section(telling: Telling, title: str) -> str:
    parts = [title]
    parts.append("What this told of is over." if telling.is_over else telling.text)
    parts.append(f"It concerns {telling.workspace}.")
    if telling.link:
        parts.append(f"Look closer: {telling.link}")
    if not telling.is_over:
        parts.append(f"Acknowledge it, or see what else there is: {telling.list_link}")
    return "\n\n".join(parts) + "\n"
