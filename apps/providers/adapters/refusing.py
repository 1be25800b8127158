"""Refusals that name the field, and the last one: what can't be written at all."""

from typing import Any, NoReturn

import orjson


def refuse(field: str, why: str) -> NoReturn:
    raise ValueError(f"'{field}' {why}.")


def text_of(value: Any, field: str) -> str:
    if not isinstance(value, str):
        refuse(field, "must be a text")
    return value


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def load_object(body: bytes) -> dict[str, Any]:
    asked = orjson.loads(body)
    if not isinstance(asked, dict):
        raise ValueError("The body of a call must be a JSON object.")  # noqa: TRY004 -- as for bytes that are no JSON
    return asked


def dump(body: dict[str, Any]) -> bytes:
    """The bytes to send: orjson reads deeper than it can write."""
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError as error:
        raise ValueError(f"The body of the call can't be sent: {error}.") from error
