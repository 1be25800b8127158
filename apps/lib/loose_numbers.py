"""Numbers out of texts that others may have written: what is none is no error."""

from math import isfinite


def read_number(text: str) -> float | None:
    """None for what is no number, and for those that are not finite."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None
