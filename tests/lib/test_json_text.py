"""JSON texts are refused by place: the byte, the line and column, or the way to the value."""

import orjson
import pytest

from apps.lib.json_text import JsonRefusedError, find_nul, read_json


def refused(text: bytes) -> JsonRefusedError:
    with pytest.raises(JsonRefusedError) as found:
        read_json(text)
    return found.value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b'{"a": "\xfc"}', "not valid UTF-8 at byte 8 (0xfc)"),
        (b'{"a": "\xed\xa0\x80"}', "not valid UTF-8 at byte 8 (0xed)"),
        ('{"a": 1}'.encode("utf-16"), "not valid UTF-8 at byte 1 (0xff)"),
        ('{"a": 1}'.encode("utf-16-le"), "NUL byte (byte 2)"),
        (b'{"a":\n NaN}', "(line 2, column 2) (JSON has no NaN and no Infinity)"),
        (b'{"a": -Infinity}', "JSON has no NaN and no Infinity"),
        (b'{"a": 1e999}', "number is infinity when parsed as double (line 1, column 7)"),
        (b'{"a": "\\ud800"}', "surrogate in string (line 1, column"),
        (b"[" * 300 + b"]" * 300, "nested too deeply: 250 levels"),
        (b"[" * 100_000, "depth limit exceeded (line 1, column"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "The key 'c' stands twice"),
    ],
)
def test_the_place_is_named(text: bytes, told: str) -> None:
    assert told in refused(text).message


def test_what_is_in_order_is_read() -> None:
    assert read_json(b'{"a": [1, {"b": "\\\\u0000"}]}') == {"a": [1, {"b": "\\u0000"}]}


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"messages": [{"content": "hi"}, {"content": "a\0"}]}, "messages[1].content"),
        ({"a": {"b\0": 1}}, "a"),
        (["\0"], "[0]"),
        ("\0", ""),
        ({"a": ["b", 1, None, {"c": 1.5}]}, None),
    ],
)
def test_a_nul_is_led_to(value: object, place: str | None) -> None:
    assert find_nul(value) == place
    if place is not None:
        assert refused(orjson.dumps(value)).place == (place or None)


def test_a_long_way_is_told_in_short() -> None:
    text = b'{"k": ' * 200 + b'"\\u0000"' + b"}" * 200
    assert len(refused(text.replace(b"k", b"k" * 10_000)).message) < 300
