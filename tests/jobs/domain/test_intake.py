"""Lines of a batch file: each wrong one is told what to mend, each good one keeps its body byte for byte."""

import json
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.jobs.domain import intake
from apps.jobs.domain.intake import ItemSpec, LineError, LineRules, read_line

CHAT = "/v1/chat/completions"
SMALL = UUID(int=1)
RULES = LineRules(endpoint=CHAT, model_id={"small": SMALL}.get, feature="nightly")
GOOD: dict[str, Any] = {"custom_id": "a", "method": "POST", "url": CHAT, "body": {"model": "small", "messages": []}}


def line(**changes: Any) -> bytes:
    return json.dumps({key: value for key, value in (GOOD | changes).items() if value is not ...}).encode()


def refused(raw: bytes, number: int = 7) -> LineError:
    answer = read_line(raw, number=number, rules=RULES)
    assert isinstance(answer, LineError), answer
    assert answer.line == number
    return answer


def accepted(raw: bytes, number: int = 7) -> ItemSpec:
    answer = read_line(raw, number=number, rules=RULES)
    assert isinstance(answer, ItemSpec), answer
    return answer


def test_read_line_of_a_good_line_keeps_the_body_byte_for_byte() -> None:
    body = b'{"model" : "small","seed":10000000000000000000000001, "t":1.0}'
    raw = b'{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": ' + body + b" }\n"
    assert accepted(raw) == ItemSpec(7, "a", SMALL, "", "nightly", body)


def test_read_line_takes_the_keys_in_any_order() -> None:
    raw = b'{"body" : {"model":"small", "n": 1e2,"x":"\\u00e9\\"body\\":"}, "url":"/v1/chat/completions","method":"POST","custom_id":"a"}'
    assert accepted(raw).body == b'{"model":"small", "n": 1e2,"x":"\\u00e9\\"body\\":"}'


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b" \t\n"])
def test_read_line_takes_any_line_end(end: bytes) -> None:
    assert accepted(line() + end).custom_id == "a"


@pytest.mark.parametrize("blank", [b"", b"\n", b"\r\n", b"  \t \n"])
def test_read_line_passes_over_blank_lines(blank: bytes) -> None:
    assert read_line(blank, number=3, rules=RULES) is None


def test_read_line_takes_a_byte_order_mark_on_the_first_line_alone() -> None:
    assert accepted(b"\xef\xbb\xbf" + line(), number=1).custom_id == "a"
    assert refused(b"\xef\xbb\xbf" + line(), number=2).code == "invalid_json_line"


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"custom_id": ...}, "missing_required_parameter", "custom_id"),
        ({"custom_id": ""}, "missing_required_parameter", "custom_id"),
        ({"custom_id": None}, "missing_required_parameter", "custom_id"),
        ({"custom_id": 5}, "invalid_type", "custom_id"),
        ({"custom_id": "x" * 65}, "string_above_max_length", "custom_id"),
        ({"method": ...}, "missing_required_parameter", "method"),
        ({"method": "GET"}, "invalid_method", "method"),
        ({"method": ["POST"]}, "invalid_type", "method"),
        ({"url": ...}, "missing_required_parameter", "url"),
        ({"url": "/v1/embeddings"}, "url_mismatch", "url"),
        ({"url": "/v1/teapot"}, "invalid_url", "url"),
        ({"body": ...}, "missing_required_parameter", "body"),
        ({"body": None}, "missing_required_parameter", "body"),
        ({"body": "text"}, "invalid_type", "body"),
        ({"body": {}}, "missing_required_parameter", "body.model"),
        ({"body": {"model": True}}, "invalid_type", "body.model"),
        ({"body": {"model": "big"}}, "model_not_found", "body.model"),
        ({"body": {"model": "small", "stream": True}}, "invalid_value", "body.stream"),
        ({"body": {"model": "small", "stream": []}}, "invalid_value", "body.stream"),
        ({"body": {"model": "small", "metadata": {"feature": "x" * 65}}}, "invalid_value", "body.metadata.feature"),
        ({"body": {"model": "small", "metadata": {"prompt_version": 3}}}, "invalid_value", "body.metadata.prompt_version"),
    ],
)
def test_read_line_names_the_wrong_field(changes: dict[str, Any], code: str, param: str) -> None:
    answer = refused(line(**changes))
    assert (answer.code, answer.param) == (code, param)
    assert param.rpartition(".")[2] in answer.message or param in answer.message


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"hello, world", "not parseable as valid JSON: unexpected character"),
        (b'{"custom_id": "a"', "not parseable as valid JSON"),
        (line() + b" {}", "unexpected content after document"),
        (b"[1, 2]", "must be a JSON object, not an array"),
        (b"null", "must be a JSON object, not null"),
        (b"12", "must be a JSON object, not a number"),
        (line(custom_id="ab").replace(b"ab", b"a\x00b"), "NUL byte (byte 17)"),
        (line(custom_id="ab").replace(b"ab", b"a\\u0000b"), "the character NUL"),
        (line(body={"model": "small", "x": [{"deep": "\0"}]}), "the character NUL"),
        (line(custom_id="ab").replace(b"ab", b"a\xffb"), "not valid UTF-8 at byte 17 (0xff)"),
        (line(custom_id="ab").replace(b"ab", b"a\xed\xa0\x80b"), "not valid UTF-8 at byte 17"),
        (line(custom_id="ab").replace(b"ab", b"a\\ud800b"), "surrogate in string"),
        (line().replace(b"[]", b"NaN"), "JSON has no NaN"),
        (line().replace(b"[]", b"-Infinity"), "JSON has no NaN and no Infinity"),
        (line().replace(b"[]", b"[" * 300 + b"]" * 300), "nested too deeply"),
        (line().replace(b"[]", b"[" * 100_000 + b"]" * 100_000), "depth limit"),
        (line().replace(b'"method"', b'"custom_id": "b", "method"'), "'custom_id' stands twice"),
        (line().replace(b'"method"', b'"body": {}, "method"'), "'body' stands twice"),
        (line().replace(b'"model"', b'"model": "big", "model"'), "The key 'model' stands twice"),
        (line().replace(b'"messages": []', b'"messages": [{"role":"user","content":"a","content":"b"}]'), "The key 'content' stands twice"),
    ],
)
def test_read_line_of_what_is_no_json_object_says_where(raw: bytes, told: str) -> None:
    answer = refused(raw)
    assert answer.code == "invalid_json_line"
    assert told in answer.message


def test_read_line_tells_an_escaped_backslash_from_a_nul() -> None:
    assert accepted(line(body={"model": "small", "x": "\\u0000"})).custom_id == "a"


def test_read_line_keeps_numbers_that_no_float_can_hold() -> None:
    number = b"1" * 300
    assert number in accepted(line(custom_id='":').replace(b"[]", number)).body


def test_read_line_knows_who_asks_and_for_what() -> None:
    spec = accepted(line(body={"model": "small", "user": "u", "safety_identifier": "s", "metadata": {"feature": "mine"}}))
    assert (spec.end_user, spec.feature) == ("s", "mine")
    assert accepted(line(body={"model": "small", "user": "u"})).end_user == "u"
    assert accepted(line(body={"model": "small", "user": {"not": "text"}})).end_user == ""


TEXTS = st.sampled_from(["", "a", "é", '"body":', '":', "}", "body", "\\", "\u2028"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**70) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["custom_id", "method", "url", "body", "x", '":', '"body":']), VALUES),
    st.sampled_from([(",", ":"), (", ", ": ")]),
)
def test_both_ways_of_taking_a_line_apart_agree(envelope: dict[str, Any], separators: tuple[str, str]) -> None:
    raw = json.dumps(envelope, separators=separators).encode()
    quick = intake._split_plain(raw)
    if quick is not None:
        assert (quick[1], quick[2]) == intake._split_any(raw)[1:]
        # Numbers of more than 64 bits are read as floats; the bytes keep them.
        assert quick[0] | {"body": quick[1]} == orjson.loads(raw)
        assert json.loads(quick[2]) == envelope["body"]


@given(st.binary(max_size=60))
def test_read_line_of_anything_never_raises(raw: bytes) -> None:
    answer = read_line(raw, number=2, rules=RULES)
    assert answer is None or isinstance(answer, LineError)
