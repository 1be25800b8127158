"""Amounts as people read them: dollars to the digits that matter, large numbers in short."""

from decimal import Decimal

from django import template

register = template.Library()
_UNITS = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**4, "k"))


@register.filter
def usd(amount: Decimal | None) -> str:
    """Cents from a dollar on, smaller ones to six digits at most; the exact amounts are in exports and on the charges."""
    if amount is None:
        return "-"
    size = abs(amount)
    digits = 2 if size >= Decimal("0.1") or not size else 4 if size >= Decimal("0.001") else 6
    return f"{'-' if amount < 0 else ''}${size:,.{digits}f}"


@register.filter
def usd_mark(amount: Decimal) -> str:
    """For a scale, whose numbers are round."""
    return f"${amount.normalize():,f}"


@register.filter
def short(number: int) -> str:
    """1,234 as it is; 1,234,567 as 1.23 M."""
    for unit, letter in _UNITS:
        if number >= unit:
            thousand = 10**3 if letter == "k" else unit
            return f"{number / thousand:.3g} {letter}" if number / thousand < 1000 else f"{number / thousand:.0f} {letter}"
    return f"{number:,}"
