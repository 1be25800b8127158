"""Which addresses a provider may have."""

from urllib.parse import urlsplit

WHAT_IT_MUST_BE = (
    "must begin with http:// or https:// and go up to the version, as in https://api.example/v1, without a user, password, '?' or '#'."
)


def is_base_url(text: str) -> bool:
    """Any host that this machine can name, `http://model-server:8000/v1` as well: the call finds out whether it answers."""
    try:
        parts = urlsplit(text)
        port = parts.port  # reading it raises for what is no port
    except ValueError:
        return False
    has_extras = bool(parts.query or parts.fragment or parts.username or parts.password or "?" in text or "#" in text)
    return (
        parts.scheme in {"http", "https"}
        and bool(parts.hostname)
        and port != 0
        and not has_extras
        and text.isprintable()
        and " " not in text
    )


_PORTS = {"http": 80, "https": 443}


def is_same_server(one: str, other: str) -> bool:
    """Whether both go to the same scheme, host and port: a key that was given for the one is known to the other."""
    return _server(one) == _server(other)


def _server(text: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(text)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
