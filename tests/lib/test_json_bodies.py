"""JSON bodies are read strictly, and a wrong one is told where."""

import io
from typing import Any

import pytest

from apps.lib.http_errors import ApiError
from apps.lib.json_bodies import StrictJSONParser


def parse(text: bytes) -> Any:
    return StrictJSONParser().parse(io.BytesIO(text))


def test_a_body_is_read() -> None:
    assert parse(b'{"a": [1, "\xc3\xa4", null, true, 1.5]}') == {"a": [1, "ä", None, True, 1.5]}


def test_a_backslash_before_u0000_is_just_text() -> None:
    assert parse(rb'{"a": "\\u0000"}') == {"a": "\\u0000"}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1,}',
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b'{"a": "\x00"}',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
    ],
    ids=range(13),
)
def test_what_is_no_json_is_refused_with_the_place(text: bytes) -> None:
    with pytest.raises(ApiError, match=r"not valid JSON.*(line \d+, column \d+|at byte \d+|\(byte \d+\))"):
        parse(text)


@pytest.mark.parametrize(
    "text", [rb'"\u0000"', rb'{"a": {"b": ["x\u0000"]}}', rb'{"\u0000": 1}', b'{"a":' * 200 + rb'"\u0000"' + b"}" * 200]
)
def test_u0000_is_refused_in_keys_and_values(text: bytes) -> None:
    with pytest.raises(ApiError, match=r"U\+0000"):
        parse(text)
