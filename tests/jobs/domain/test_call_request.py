"""Single calls are judged before anything is stored; each refusal names the place."""

import json
import re
from decimal import Decimal
from typing import Any

import pytest

from apps.jobs.domain.call_request import CallRefusedError, CallRequest, read_call
from apps.jobs.domain.stream_wish import NOT_STREAMED, StreamWish

CHAT = "/v1/chat/completions"
GOOD: dict[str, Any] = {"model": "small", "messages": [{"role": "user", "content": "hi"}]}


def read(body: bytes | dict[str, Any], endpoint: str = CHAT, **headers: str) -> CallRequest:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_call(content, endpoint=endpoint, headers={name.replace("_", "-"): value for name, value in headers.items()})


def refusal(body: bytes | dict[str, Any], endpoint: str = CHAT, **headers: str) -> CallRefusedError:
    with pytest.raises(CallRefusedError) as caught:
        read(body, endpoint, **headers)
    return caught.value


def test_a_good_call_keeps_its_bytes() -> None:
    body = b' {"model": "small", "messages": [{"role": "user", "content": "hi"}], "temperature": 0.10} '
    assert read(body, X_Feature=" search ", **{"X_Max-Cost-USD": "0.05"}) == CallRequest(
        endpoint=CHAT, model="small", end_user="", feature="search", max_cost_usd=Decimal("0.05"), body=body
    )


@pytest.mark.parametrize(
    ("values", "end_user"),
    [
        ({"user": "u1"}, "u1"),
        ({"user": "u1", "safety_identifier": "s1"}, "s1"),
        ({"user": 5}, ""),
        ({"user": "u" * 300}, "u" * 255),
    ],
)
def test_the_end_user_is_the_safety_identifier_or_user(values: dict[str, Any], end_user: str) -> None:
    assert read(GOOD | values).end_user == end_user


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b'{"model": NaN}',
        b'{"model": "a\x00"}',
        b'{"model": "\\ud800"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_what_is_no_json_is_refused_with_its_place(body: bytes) -> None:
    found = refusal(body)
    assert (found.code, found.param) == ("invalid_json", None)
    assert "line 1, column" in found.message or re.search(r"at byte \d+|\(byte \d+\)", found.message)


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"null", b"3"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    assert refusal(body).code == "invalid_type"


def test_deep_nesting_is_refused_before_it_reaches_a_worker() -> None:
    body = b'{"model": "small", "messages": [{"x": ' + b"[" * 400 + b"]" * 400 + b"}]}"
    assert "250 levels" in refusal(body).message


def test_nul_is_refused_with_its_path_and_an_escaped_backslash_is_not_nul() -> None:
    body = b'{"model": "small", "messages": [{"role": "user", "content": "a\\u0000"}]}'
    assert refusal(body).param == "messages[0].content"
    assert read(b'{"model": "small", "messages": [{"role": "user", "content": "a\\\\u0000"}]}').model == "small"


def test_a_doubled_key_is_named_wherever_it_stands() -> None:
    body = b'{"model": "small", "messages": [{"role": "user", "role": "system", "content": "hi"}]}'
    assert refusal(body).param == "role"


@pytest.mark.parametrize(
    ("values", "code", "param"),
    [
        ({"model": None}, "missing_required_parameter", "model"),
        ({"model": 7}, "missing_required_parameter", "model"),
        ({"model": "m" * 201}, "string_above_max_length", "model"),
        ({"messages": []}, "missing_required_parameter", "messages"),
        ({"messages": None}, "missing_required_parameter", "messages"),
        ({"messages": "hi"}, "invalid_type", "messages"),
        ({"messages": ["hi"]}, "invalid_type", "messages"),
        ({"stream": [1]}, "invalid_type", "stream"),
        ({"stream_options": {"include_usage": True}}, "invalid_value", "stream_options"),
        ({"stream": True, "stream_options": {"include_usage": 1}}, "invalid_type", "stream_options"),
        ({"stream": True, "stream_options": []}, "invalid_type", "stream_options"),
    ],
)
def test_wrong_values_name_their_parameter(values: dict[str, Any], code: str, param: str) -> None:
    found = refusal(GOOD | values)
    assert (found.code, found.param) == (code, param)


def test_only_stream_true_streams_and_the_usage_comes_on_request() -> None:
    assert read(GOOD | {"stream": False}).streams == NOT_STREAMED
    assert read(GOOD | {"stream": True}).streams == StreamWish(is_streamed=True)
    told = read(GOOD | {"stream": True, "stream_options": {"include_usage": True}})
    assert told.streams == StreamWish(is_streamed=True, is_usage_told=True)


@pytest.mark.parametrize(
    ("endpoint", "name", "good", "bad"),
    [
        ("/v1/chat/completions", "messages", [{"role": "user"}], "hello"),
        ("/v1/embeddings", "input", [[1, 2]], {"text": "hello"}),
        ("/v1/responses", "input", "hello", 7),
        ("/v1/responses", "prompt", {"id": "pmpt_1"}, "pmpt_1"),
        ("/v1/completions", "prompt", ["a", "b"], True),
    ],
)
def test_each_endpoint_needs_its_own_input(endpoint: str, name: str, good: Any, bad: Any) -> None:
    assert read({"model": "small", name: good}, endpoint).endpoint == endpoint
    assert refusal({"model": "small", name: ""}, endpoint).code == "missing_required_parameter"
    refused = refusal({"model": "small", name: bad}, endpoint)
    assert (refused.code, refused.param) == ("invalid_type", name)


def test_a_body_of_many_numbers_is_taken() -> None:
    body = {"model": "small", "input": [[10**200, *range(1000)]]}
    assert read(body, "/v1/embeddings").model == "small"


@pytest.mark.parametrize("text", ["", " ", "-1", "1e3", "NaN", "1,5", "0x1", "123456789", "0.0000000000001", "\u0661"])
def test_a_cost_limit_is_a_plain_decimal(text: str) -> None:
    assert refusal(GOOD, **{"X_Max-Cost-USD": text}).param == "X-Max-Cost-USD"


def test_a_prompt_version_comes_in_the_header_or_in_the_body_which_wins() -> None:
    header = {"X-Prompt-Version": "greeting-3"}
    assert read(GOOD, **header).prompt_version == "greeting-3"
    assert read(GOOD | {"metadata": {"prompt_version": "mine"}}, **header).prompt_version == "mine"
    assert read(GOOD).prompt_version == ""
    assert refusal(GOOD, **{"X-Prompt-Version": "v" * 65}).param == "X-Prompt-Version"
    assert refusal(GOOD | {"metadata": {"prompt_version": 3}}).param == "metadata.prompt_version"


def test_a_feature_has_64_characters_at_most() -> None:
    assert read(GOOD, X_Feature="f" * 64).feature == "f" * 64
    assert refusal(GOOD, X_Feature="f" * 65).param == "X-Feature"
