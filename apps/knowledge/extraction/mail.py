"""E-mails (.eml): who wrote what to whom; what is attached is listed, not opened."""

from collections.abc import Iterator
from email import message_from_bytes, policy
from typing import Any

from apps.knowledge.domain.formats import EMAIL
from apps.knowledge.domain.refusals import Refused
from apps.knowledge.domain.sections import Extracted, Section
from apps.knowledge.extraction.decoding import decode
from apps.knowledge.extraction.source import Source
from apps.knowledge.extraction.text import clean, one_line
from apps.knowledge.extraction.web_page import html_sections

_SHOWN = ("From", "To", "Cc", "Date")
_ENCRYPTED = {"multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"}
_BODY = "message body"
_MOST_PARTS = 1_000


def read_mail(source: Source) -> Extracted:
    message = message_from_bytes(source.content, policy=policy.default)
    if message.get_content_type() in _ENCRYPTED:
        raise Refused("encrypted", "The e-mail is encrypted. Save it decrypted, or print it to a PDF.")
    subject = one_line(str(message.get("Subject", "")))
    sections = source.collect(_sections(message, subject))
    return Extracted(media_type=EMAIL, title=source.title(subject), pages=1, sections=sections)


def _sections(message: Any, subject: str) -> Iterator[Section]:
    yield Section(text=subject, kind="heading", level=1, anchor="message headers")
    shown = [(name, one_line(str(message[name]))) for name in _SHOWN if message[name]]
    yield Section(text="\n".join(f"{name}: {value}" for name, value in shown), anchor="message headers")
    body, attached = _parts(message)
    if body is not None:
        yield from _body(body)
    if attached:
        yield Section(text="\n".join(f"- {line}" for line in attached), kind="list", anchor="attachments")


def _parts(message: Any) -> tuple[Any, list[str]]:
    """The part to read, text before HTML, and a line for each attachment. E-mails that are attached are not looked into."""
    bodies: dict[str, Any] = {}
    attached: list[str] = []
    waiting = [message]
    for _ in range(_MOST_PARTS):
        if not waiting:
            break
        part = waiting.pop()
        kind, name = part.get_content_type(), part.get_filename()
        if part.get_content_maintype() == "multipart":
            waiting.extend(reversed(list(part.iter_parts())))
        elif kind in {"text/plain", "text/html"} and kind not in bodies and part.get_content_disposition() != "attachment" and not name:
            bodies[kind] = part
        elif name or part.get_content_disposition() == "attachment" or kind == "message/rfc822":
            attached.append(f"{one_line(name or 'without a name')} ({kind})")
    return bodies.get("text/plain") or bodies.get("text/html"), attached


def _body(part: Any) -> Iterator[Section]:
    content = part.get_payload(decode=True)
    text = decode(content, part.get_content_charset("")) if isinstance(content, bytes) and content else ""
    if part.get_content_type() == "text/html":
        for section in html_sections(text):
            yield Section(text=section.text, kind=section.kind, level=section.level and section.level + 1, anchor=_BODY)
        return
    for paragraph in clean(text).split("\n\n"):
        yield Section(text=paragraph.strip("\n"), anchor=_BODY)
