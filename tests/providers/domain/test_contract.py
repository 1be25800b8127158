"""Contracts: what an answer must look like, and schemas that must neither fetch anything nor take the pump's time."""

from typing import Any

import orjson
import pytest

from apps.providers.domain.contract import Contract, ContractBrokenError, ContractRefusedError, read_contract
from apps.providers.domain.said import Said
from apps.providers.domain.schema_guard import RECURSIVE_LEVELS, SchemaRefusedError, weigh

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
INVOICE = {
    "type": "object",
    "properties": {
        "items": {"type": "array", "items": {"type": "object", "required": ["price"], "properties": {"price": {"type": "number"}}}}
    },
    "required": ["items"],
}
TREE = {
    "$ref": "#/$defs/node",
    "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "n": {"type": "integer"}}}},
}


def contract_of(schema: Any) -> Contract:
    return read_contract({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}, endpoint=CHAT)


def broken(contract: Contract, *texts: str, **said: bool) -> str:
    with pytest.raises(ContractBrokenError) as caught:
        contract.check(Said(texts=texts, **said))
    return str(caught.value)


def test_an_answer_that_fits_passes() -> None:
    contract_of(INVOICE).check(Said(texts=('{"items": [{"price": 1.5}]}', '{"items": []}')))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"items": [{"price": 1}, {"price": "x"}]}', "$.items[1].price: "),
        ('{"items": [{}]}', "$.items[0]: "),
        ("[]", "$: "),
        ("```json\n{}\n```", "$: the answer is not JSON"),
        ("", "$: the answer is not JSON"),
        ('{"items": NaN}', "$: the answer is not JSON"),
    ],
)
def test_a_wrong_answer_is_told_with_its_place(text: str, place: str) -> None:
    assert broken(contract_of(INVOICE), text).startswith(place)


def test_each_choice_is_held_to_it_and_a_refusal_breaks_it() -> None:
    assert broken(contract_of(INVOICE), '{"items": []}', "no").startswith("$: the answer is not JSON")
    assert "refused" in broken(contract_of(INVOICE), is_refused=True)


def test_a_tool_call_is_no_text_to_check() -> None:
    contract_of(INVOICE).check(Said(texts=("",), is_tool_call=True))


def test_plain_json_mode_wants_an_object() -> None:
    contract = read_contract({"response_format": {"type": "json_object"}}, endpoint=CHAT)
    contract.check(Said(texts=("{}",)))
    assert "not an object" in broken(contract, "[1]")


def test_the_responses_api_says_it_elsewhere() -> None:
    body = {"text": {"format": {"type": "json_schema", "name": "x", "schema": INVOICE}}}
    assert broken(read_contract(body, endpoint=RESPONSES), "{}").startswith("$: ")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "response_format"),
        ({"response_format": {"type": "text"}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": "x"}}}, "response_format.json_schema.schema"),
    ],
)
def test_a_request_that_says_nothing_of_its_answer_is_refused(body: dict[str, Any], param: str) -> None:
    with pytest.raises(ContractRefusedError) as caught:
        read_contract(body, endpoint=CHAT)
    assert caught.value.param == param


def doubling(levels: int) -> dict[str, Any]:
    """Each level looks twice at the next: two to the power of the levels."""
    names = [f"a{n}" for n in range(levels)]
    parts = {name: {"allOf": [{"$ref": f"#/$defs/{after}"}] * 2} for name, after in zip(names, [*names[1:], "end"], strict=True)}
    return {"$defs": parts | {"end": {"type": "string"}}, "$ref": "#/$defs/a0"}


def chained(length: int) -> dict[str, Any]:
    return {"$defs": {f"a{n}": {"$ref": f"#/$defs/a{n + 1}"} for n in range(length)} | {f"a{length}": True}, "$ref": "#/$defs/a0"}


BRANCHING = {"anyOf": [{"properties": {"a": {"$ref": "#"}}, "required": [str(n)]} for n in range(8)] + [{}]}


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"$ref": "http://127.0.0.1:1/schema.json"}, "refers to 'http"),
        ({"$ref": "file:///etc/passwd"}, "refers to 'file"),
        ({"properties": {"a": {"$ref": "other.json#/x"}}}, "refers to 'other"),
        ({"$id": "http://127.0.0.1:1/", "$ref": "#/x"}, "'$id'"),
        ({"$dynamicRef": "#a"}, "'$dynamicRef'"),
        ({"$ref": "#/nowhere"}, "no such place"),
        ({"$ref": "#"}, "refers to itself"),
        ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}, "refers to itself"),
        ({"pattern": "(?=a)b"}, 'is not a "regex"'),
        ({"pattern": "(a{1000}){1000}"}, 'is not a "regex"'),
        ({"properties": {f"p{n}": {"pattern": f"^{n}$"} for n in range(40)}}, "30 different patterns"),
        ({"type": "strin"}, "not valid"),
        ({"properties": []}, "not valid"),
        ({"description": "x" * 200_000}, "bytes"),
        (doubling(24), "too costly"),
        (BRANCHING, "too costly"),
        (chained(1000), "nested too deeply"),
    ],
)
def test_hostile_schemas_are_refused_with_the_reason(schema: dict[str, Any], message: str) -> None:
    with pytest.raises(ContractRefusedError, match=message.replace("$", r"\$")) as caught:
        contract_of(schema)
    assert caught.value.param == "response_format.json_schema.schema"


def test_a_schema_that_contains_itself_is_taken_to_a_depth() -> None:
    contract = contract_of(TREE)
    text = '{"n": 1}'
    for _ in range(10):
        text = f'{{"next": {text}}}'
    contract.check(Said(texts=(text,)))
    assert broken(contract, text.replace("1", '"x"')).startswith("$.next.next")
    for _ in range(RECURSIVE_LEVELS):
        text = f'{{"next": {text}}}'
    assert "nested deeper" in broken(contract, text)


def test_work_is_bounded_by_weight_times_size() -> None:
    contract = contract_of({"items": {"anyOf": [{"required": [f"x{n}"]} for n in range(200)] + [{}]}})
    text = orjson.dumps([{"a": n} for n in range(20_000)]).decode()
    assert "too long to be checked" in broken(contract, text)


def test_the_first_wrong_place_of_many_is_enough() -> None:
    """All of them at once took half a minute; the test's time limit would tell."""
    contract = contract_of({"items": {"anyOf": [{"type": "string"}, {"type": "null"}]}})
    assert broken(contract, orjson.dumps(list(range(100_000))).decode()).startswith("$[0]: ")
    assert "are checked" in broken(contract, f'"{"x" * 1_000_001}"')


def test_a_pattern_that_blows_up_elsewhere_is_linear_here() -> None:
    text = orjson.dumps("a" * 50_000 + "b").decode()
    assert broken(contract_of({"pattern": "^(a+)+$"}), text).startswith("$: ")


def test_schemas_are_compiled_once_each() -> None:
    assert contract_of(INVOICE).validator is contract_of(INVOICE).validator


def test_alternatives_inside_each_other_multiply_in_the_weight() -> None:
    flat, _, _ = weigh({"anyOf": [{"type": "string"}] * 4})
    deep, _, _ = weigh({"anyOf": [{"anyOf": [{"type": "string"}] * 4}] * 4})
    assert deep > 3 * flat
    with pytest.raises(SchemaRefusedError):
        weigh(doubling(30))
