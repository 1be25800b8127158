"""Pieces of pages that several lists and forms of the back office show alike: ids as links, pairs as tables, money and durations."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

NOTHING = "-"
_TAIL = 8


def short_id(prefix: str, key: UUID) -> SafeString:
    """An id that fits in a column; the whole one shows when one points at it."""
    return format_html('<span class="whole" title="{}{}">{}…{}</span>', prefix, key.hex, prefix, key.hex[-_TAIL:])


def page_link(page: str, key: UUID | None, text: str) -> SafeString | str:
    """A link to a row's own page in the back office, by the page's URL name."""
    if key is None:
        return NOTHING
    return format_html('<a class="link" href="{}">{}</a>', reverse(f"admin:{page}_change", args=[key]), text)


def id_link(page: str, prefix: str, key: UUID | None) -> SafeString | str:
    """The same, with the whole id as its text."""
    return NOTHING if key is None else page_link(page, key, f"{prefix}{key.hex}")


def pairs_table(pairs: Mapping[str, Any] | None) -> SafeString | str:
    """Names and values, a row each."""
    if not pairs:
        return NOTHING
    rows = format_html_join("", "<tr><th scope='row'>{}</th><td>{}</td></tr>", pairs.items())
    return format_html('<div class="wide"><table class="plain narrow"><tbody>{}</tbody></table></div>', rows)


def dollars(amount: Decimal) -> str:
    """To the last digit that says something, and at least cents."""
    exact = amount.normalize()
    return f"${exact:,.2f}" if exact == exact.quantize(Decimal("0.01")) else f"${exact:,f}"


def seconds(duration: float | None) -> str:
    return NOTHING if duration is None else f"{duration:.3f} s"
