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
