"""Where e-mail is handed over, read from a URL. A wrong one is refused by name when a process starts, not when the first alert is due."""

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

_PORTS = {"smtp": 25, "smtp+tls": 587, "smtps": 465}
_SHAPE = (
    "smtp+tls://user:password@mail.example.com:587 (STARTTLS), smtps://user:password@mail.example.com:465 (TLS), "
    "smtp://mail.example.com:25 (plain, for a relay on a network of yours) or console:// (into the log)"
)


class MailServerInvalidError(ValueError):
    """The URL names no mail server."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """`kind` is smtp (plain), smtp+tls (STARTTLS), smtps (TLS) or console (written to the log, for trying out)."""

    kind: str
    host: str = ""
    port: int = 0
    username: str = ""
    password: str = field(default="", repr=False)


def read_mail_server(url: str) -> MailServer | None:
    """None for an empty URL. MailServerInvalidError says what is wrong; it never repeats the URL, which holds a password."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        # Its own words may hold a piece of the password.
        raise MailServerInvalidError(f"must look like {_SHAPE}: its host or its port can't be read.") from None
    if parts.scheme == "console":
        return MailServer(kind="console")
    if parts.scheme not in _PORTS:
        raise MailServerInvalidError(f"must look like {_SHAPE}; it begins with {parts.scheme + ':' if parts.scheme else 'no scheme'!r}.")
    if not parts.hostname:
        raise MailServerInvalidError(f"must look like {_SHAPE}; it names no host.")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise MailServerInvalidError(
            f"must look like {_SHAPE}; nothing may follow the host and port. Of a password write '/', '?', '#', '@' as %2F, %3F, %23, %40."
        )
    if bool(parts.username) != bool(parts.password):
        raise MailServerInvalidError(f"must look like {_SHAPE}; a user and a password come together.")
    return MailServer(
        kind=parts.scheme,
        host=parts.hostname,
        port=port or _PORTS[parts.scheme],
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )
