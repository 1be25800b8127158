"""Doubled keys are found wherever they stand, and nothing else is taken for one."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.lib.json_keys import find_doubled_key

values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=6) | st.just('{"a": 1, "a": 2}'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


def find(text: str) -> str | None:
    return find_doubled_key(text.encode(), orjson.loads(text))


@given(values, st.sampled_from([None, 1]))
def test_what_a_writer_writes_has_none(value: object, indent: int | None) -> None:
    text = json.dumps(value, indent=indent, separators=(",", " : ") if indent else None)
    assert find(text) is None


def test_the_last_of_very_many_keys_is_found_in_one_pass() -> None:
    """Looking at all of them for each of them would take hours."""
    text = "{" + "".join(f'"k{number}":1,' for number in range(200_000)) + '"k199999":2}'
    assert find(text) == "k199999"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('{"a":1,"a":2}', "a"),
        ('{"a" :1,"a":2}', "a"),
        ('{"a"\n:1,"b":2,"a"\t:2}', "a"),
        ('{"x":[{"b":{"c":1,"c":1}}]}', "c"),
        ('{"x":"\\":","a":1,"a":1}', "a"),
        ('{"\\u0061":1,"a":2}', "a"),
        ('{"a":1,"a" :2,"x":"\\":"}', "a"),
    ],
)
def test_a_doubled_key_is_named(text: str, key: str) -> None:
    assert find(text) == key
