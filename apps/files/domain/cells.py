"""A spreadsheet's values as people see them."""

import re
from datetime import date, datetime, time, timedelta

_DECIMALS = re.compile(r"^[^0#;]{0,6}[#,]*0?(?:\.(0+))?(%?)[^0#;]{0,6}(?:;.*)?$")
_SIGNIFICANT = 15  # as Excel shows at most


def as_seen(value: object, number_format: str) -> str:
    """Dates as ISO writes them, numbers with the decimals that their format shows, everything else as its text."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return _number(value, number_format)
    if isinstance(value, datetime):
        return _moment(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return _duration(value)
    # A formula of several cells is an object that carries its text.
    return str(getattr(value, "text", None) or value)


def _number(value: float, number_format: str) -> str:
    found = _DECIMALS.match(number_format) if number_format not in {"", "General", "@"} else None
    if found is not None and "0" in number_format:
        decimals, percent = len(found[1] or ""), found[2]
        return f"{value * 100 if percent else value:.{decimals}f}{percent}"
    if isinstance(value, int) or value.is_integer():
        return str(int(value)) if abs(value) < 10**_SIGNIFICANT else f"{value:.{_SIGNIFICANT}g}"
    return f"{value:.{_SIGNIFICANT}g}"


def _moment(value: datetime) -> str:
    if (value.hour, value.minute, value.second) == (0, 0, 0):
        return value.date().isoformat()
    return value.replace(microsecond=0).isoformat(sep=" ").removesuffix(":00")


def _duration(value: timedelta) -> str:
    seconds = round(value.total_seconds())
    return f"{seconds // 3600}:{seconds % 3600 // 60:02}:{seconds % 60:02}"
