"""Whole numbers in the query of an address, read strictly."""

from rest_framework.request import Request

from apps.lib.http_errors import ApiError

MOST = 2**31 - 1


def read_whole(request: Request, name: str, *, least: int, most: int = MOST) -> int | None:
    """None when it is left out; ApiError 400 for what is no whole number, or not between `least` and `most`."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(most)) and least <= int(text) <= most):
        raise ApiError(400, "invalid_value", f"'{name}' must be a whole number from {least} to {most}.", param=name)
    return int(text)
