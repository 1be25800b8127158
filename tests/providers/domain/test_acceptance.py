"""When a first model's answer will do, and what an answer says at all."""

from typing import Any

import orjson
import pytest

from apps.providers.domain.acceptance import RuleInvalidError, read_rules, why_not_accepted
from apps.providers.domain.contract import Contract
from apps.providers.domain.said import Said, read_said


def why(text: str, rules: str, contract: Contract | None = None) -> str:
    return why_not_accepted(Said(texts=(text,)), read_rules(rules), contract)


def chat(**choice: Any) -> bytes:
    return orjson.dumps({"choices": [{"finish_reason": "stop"} | choice]})


def test_without_rules_all_but_a_refusal_will_do() -> None:
    assert why("anything", "") == ""
    assert why_not_accepted(Said(texts=("",), is_refused=True), (), None) == "the model refused"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"confidence": 0.9}', ""),
        ('{"confidence": 0.8}', ""),
        ('{"confidence": 0.79}', "its confidence is 0.79, below 0.8"),
        ('{"confidence": "high"}', "its confidence is no number"),
        ('{"confidence": true}', "its confidence is no number"),
        ("{}", "its confidence is no number"),
        ("[]", "its confidence is no number"),
        ("sure", "its confidence is no number"),
    ],
)
def test_a_field_must_be_large_enough(text: str, reason: str) -> None:
    assert why(text, "confidence >= 0.8") == reason


def test_fields_lie_deeper_and_schemas_count() -> None:
    assert why('{"a": {"b": 3}}', "a.b>=2, not_refused") == ""
    assert why('{"a": {"b": 1}}', "a.b>=2").startswith("its a.b is 1")
    assert why("[]", "schema", Contract()).startswith("$: ")


@pytest.mark.parametrize("text", ["good", "a>1", "a>=", ">=1", "a>=1e999", "a >= 1 or b", "a..b>=1", ","])
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(RuleInvalidError):
        read_rules(text)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (chat(message={"content": "hi"}), Said(("hi",))),
        (chat(message={"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}), Said(("ab",))),
        (chat(message={"content": None, "refusal": "no"}), Said(("",), is_refused=True)),
        (chat(message={"content": "half"}, finish_reason="content_filter"), Said(("half",), is_refused=True)),
        (chat(message={"content": None, "tool_calls": [{"id": "1"}]}), Said(("",), is_tool_call=True)),
        (chat(text="plain"), Said(("plain",))),
        (orjson.dumps({"output": [{"type": "message", "content": [{"type": "output_text", "text": "hi"}]}]}), Said(("hi",))),
        (orjson.dumps({"output": [{"type": "message", "content": [{"type": "refusal", "refusal": "no"}]}]}), Said(("",), is_refused=True)),
        (orjson.dumps({"output": [{"type": "function_call"}]}), Said(("",), is_tool_call=True)),
        (orjson.dumps({"output": [], "incomplete_details": {"reason": "content_filter"}}), Said(("",), is_refused=True)),
        (orjson.dumps({"data": []}), Said()),
        (b"no json", Said()),
        (b"[]", Said()),
        (orjson.dumps({"choices": [1, {"message": "x"}]}), Said(("",))),
    ],
)
def test_what_an_answer_says(answer: bytes, said: Said) -> None:
    assert read_said(answer) == said
