"""What somebody declares becomes a plan, or is refused with the field and what to do."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from apps.jobs.domain.recipe import Each, Plan, load_plan
from apps.jobs.domain.recipe_fields import RecipeRefusedError
from apps.jobs.domain.recipe_reading import read_recipe
from apps.prompts.domain.book import no_prompt, no_version
from apps.prompts.domain.content import PublishedPrompt, read_content
from apps.prompts.domain.template import read_template
from apps.providers.domain.policy import USUAL_TIMES

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}
LETTER = PublishedPrompt(
    "letter",
    3,
    read_content(
        system="Answer in {{ tone }} words.",
        user="<letter>{{ letter }}</letter> {{ count }}",
        variables=[{"name": "letter"}, {"name": "tone", "default": "dry"}, {"name": "count", "type": "number", "required": False}],
        model="small",
        parameters={"temperature": 0},
    ),
)


def find_prompt(name: str, number: int | None) -> PublishedPrompt:
    if name != "letter":
        raise no_prompt(name)
    if number not in {None, 3}:
        raise no_version(name, number, is_known=False)
    return LETTER


def plan_of(kind: str, **declared: Any) -> Plan:
    return read_recipe(kind, declared, find_prompt=find_prompt, times=USUAL_TIMES).plan


def refusal(kind: str, **declared: Any) -> tuple[str, str]:
    with pytest.raises(RecipeRefusedError) as refused:
        plan_of(kind, **declared)
    return refused.value.field, refused.value.message


GOOD: dict[str, tuple[str, dict[str, Any]]] = {
    "extract": ("extract", {"model": "small", "schema": SCHEMA}),
    "extract from passages": ("extract", {"model": "small", "schema": orjson.dumps(SCHEMA).decode(), "query": "totals", "passages": 4}),
    "classify": ("classify", {"model": "small", "labels": ["bill", {"name": "letter", "description": "anything else"}]}),
    "classify, all of it": (
        "classify",
        {"model": "small", "labels": ["a", "b"], "several": True, "reason": True, "confidence": True, "instructions": "Mind dates."},
    ),
    "summarise": ("summarise", {"model": "small", "words": 80, "language": "German", "instructions": "Mind dates.", "group": 4}),
    "ask": ("ask", {"model": "small", "question": "What is {{ said }}?"}),
    "ask the job": ("ask", {"model": "small", "question": "Why?", "each": "job", "passages": 20, "query": "reasons", "cache": "on"}),
    "custom": ("custom", {"model": "small", "user": "Shorten: {{ text }} {{ tone }}", "values": {"tone": "dry"}, "cache": 60}),
    "stored": ("custom", {"prompt": "letter@3", "variables": {"letter": "{{ text }}", "count": 2}}),
    "cascade": (
        "cascade",
        {"of": "extract", "model": "big", "schema": SCHEMA, "first_model": "small", "accept_if": "schema", "failover": False},
    ),
    "steps": (
        "steps",
        {
            "steps": [
                {"name": "verdict", "model": "big", "user": "{{ facts }} {{ tone }}"},
                {"name": "facts", "each": "part", "model": "small", "user": "{{ anchor }}: {{ text }}", "part_tokens": 500},
                {"name": "tone", "model": "small", "user": "{{ passages }}", "passages": 3, "query": "tone of {{ document }}"},
            ]
        },
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_declaration_is_a_plan_whose_texts_have_all_they_use(name: str) -> None:
    kind, declared = GOOD[name]
    plan = plan_of(kind, **declared)
    assert load_plan(plan.as_text()) == plan
    for step in plan.steps:
        used = {variable for text in (step.system, step.user, step.query) for variable in read_template(text).names}
        known = {"document", "text", "anchor", "part", "parts", "passages", *step.after}
        assert used - known == set(step.values)
        assert step.model in {"small", "big"}


def test_a_question_is_data_and_never_a_template() -> None:
    (step,) = plan_of(*GOOD["ask"][:1], **GOOD["ask"][1]).steps
    assert step.values["question"] == "What is {{ said }}?"
    assert (step.each, step.passages, step.query) == (Each.DOCUMENT, 8, "{{ question }}")
    assert "cite" in step.system


def test_labels_are_the_only_answers_and_a_reason_comes_first() -> None:
    (step,) = plan_of(*GOOD["classify, all of it"][:1], **GOOD["classify, all of it"][1]).steps
    assert step.output_schema is not None
    assert list(step.output_schema["properties"]) == ["reason", "labels", "confidence"]
    assert step.output_schema["properties"]["labels"]["items"]["enum"] == ["a", "b"]
    plan = plan_of(*GOOD["classify"][:1], **GOOD["classify"][1])
    assert plan.policy.has_contract
    assert plan.result_step.values["labels"] == "- bill\n- letter: anything else"


def test_a_summary_is_made_of_parts_in_groups() -> None:
    parts, whole = plan_of("summarise", model="small", words=80).steps
    assert (parts.each, parts.part_tokens) == (Each.PART, 2000)
    assert (whole.each, whole.after, whole.group, whole.values["words"]) == (Each.DOCUMENT, ("map",), 10, "80")


def test_a_cascade_asks_the_cheap_model_first_and_holds_its_answers_against_the_schema() -> None:
    policy = plan_of(*GOOD["cascade"][:1], **GOOD["cascade"][1]).policy
    assert (policy.first_model, policy.accept_if, policy.has_contract, policy.has_failover) == ("small", "schema", True, False)


def test_a_stored_prompt_says_what_it_said_with_its_variables_placed() -> None:
    (step,) = plan_of("custom", prompt="letter", variables={"letter": "{{ text }}"}).steps
    assert (step.prompt_version, step.model, step.parameters) == ("letter@3", "small", {"temperature": 0})
    assert step.user == "<letter>{{ text }}</letter> {{ count }}"
    assert step.values == {"tone": "dry", "count": ""}
    (step,) = plan_of("custom", prompt="letter@3", model="big", variables={"letter": "{{ document }}", "tone": "{{ text }}"}).steps
    assert (step.model, step.system) == ("big", "Answer in {{ text }} words.")


def test_a_variable_called_as_something_here_gets_another_name() -> None:
    prompt = PublishedPrompt("p", 1, read_content(user="{{ text }} {{ part }}", variables=[{"name": "text"}, {"name": "part"}]))
    plan = read_recipe(
        "custom", {"prompt": "p", "model": "small", "variables": {"part": "one"}}, find_prompt=lambda *_: prompt, times=USUAL_TIMES
    ).plan
    assert (plan.steps[0].user, plan.steps[0].values) == ("{{ text }} {{ own_part }}", {"own_part": "one"})


def test_steps_come_after_those_that_they_use() -> None:
    plan = plan_of("steps", **GOOD["steps"][1])
    assert [step.name for step in plan.steps] == ["facts", "tone", "verdict"]
    assert plan.result_step.after == ("facts", "tone")


def test_the_same_declaration_is_the_same_plan() -> None:
    for kind, declared in GOOD.values():
        assert plan_of(kind, **declared).as_text() == plan_of(kind, **declared).as_text()


def steps(*told: Mapping[str, Any]) -> dict[str, Any]:
    return {"steps": [{"model": "small", "user": "{{ text }}", **step} for step in told]}


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("poem", {}, "kind", "kind must be one of"),
    ("extract", {"model": "small"}, "schema", "Give a JSON schema"),
    ("extract", {"schema": SCHEMA}, "model", "is missing"),
    ("extract", {"model": "small", "schema": {"type": "array"}}, "schema", "schema of an object"),
    ("extract", {"model": "small", "schema": "{"}, "schema", "must be a JSON schema"),
    ("extract", {"model": "small", "schema": {**SCHEMA, "$ref": "http://x.invalid/y"}}, "schema", "schema: "),
    ("extract", {"model": "small", "schema": SCHEMA, "passages": 4}, "query", "is missing"),
    ("extract", {"model": "small", "schema": SCHEMA, "temprature": 0}, "temprature", "is no field here"),
    ("extract", {"model": "small", "schema": SCHEMA, "parameters": {"temprature": 0}}, "parameters", "is no parameter"),
    ("extract", {"model": "small", "schema": SCHEMA, "instructions": 7}, "instructions", "must be a text, not a number"),
    ("classify", {"model": "small", "labels": ["one"]}, "labels", "at least two"),
    ("classify", {"model": "small", "labels": ["a", "a"]}, "labels", "twice"),
    ("classify", {"model": "small", "labels": ["a", {"label": "b"}]}, "labels", "number 2"),
    ("classify", {"model": "small", "labels": ["a", "b"], "several": "yes"}, "several", "true or false"),
    ("summarise", {"model": "small", "words": 5}, "words", "from 10 to 5,000"),
    ("summarise", {"model": "small", "passages": 5}, "passages", "is no field here"),
    ("ask", {"model": "small"}, "question", "is missing"),
    ("ask", {"model": "small", "question": "Why?", "each": "part"}, "each", "document or job"),
    ("ask", {"model": "small", "question": "Why?", "passages": 0}, "passages", "from 1 to 50"),
    ("ask", {"model": "small", "question": "Why?", "cache": "never"}, "cache", "Invalid value"),
    ("custom", {"model": "small"}, "user", "name a stored prompt"),
    ("custom", {"user": "{{ text }}"}, "model", "name one"),
    ("custom", {"model": "small", "user": "Hello."}, "user", "asks the same each time"),
    ("custom", {"model": "small", "user": "{{ txt }}"}, "user", "which means nothing here"),
    ("custom", {"model": "small", "user": "{{ text }} {{ anchor }}"}, "user", "each = part"),
    ("custom", {"model": "small", "user": "{{ passages }}"}, "user", "say in passages how many"),
    ("custom", {"model": "small", "user": "{{ text }}", "passages": 3}, "query", "is missing"),
    ("custom", {"model": "small", "user": "{{ text }}", "passages": 3, "query": "x"}, "user", "{{ passages }}"),
    ("custom", {"model": "small", "user": "{{ text }}", "query": "x"}, "passages", "is missing"),
    ("custom", {"model": "small", "user": "<{{ text }}>"}, "user", "name of a tag"),
    ("custom", {"model": "small", "user": "{{ text }}", "values": {"tone": "dry"}}, "values", "no text uses"),
    ("custom", {"model": "small", "user": "{{ text }}", "values": {"text": "dry"}}, "values", "can't have"),
    ("custom", {"model": "small", "user": "{{ text }}", "prompt": "letter"}, "prompt", "can't both be given"),
    ("custom", {"model": "small", "prompt": "latter"}, "prompt", "There is no prompt"),
    ("custom", {"model": "small", "prompt": "letter@4"}, "prompt", "no version 4"),
    ("custom", {"model": "small", "prompt": "a letter"}, "prompt", '"letter@3"'),
    ("custom", {"prompt": "letter"}, "variables", "doesn't say what letter"),
    ("custom", {"prompt": "letter", "variables": {"lettre": "x"}}, "variables", "which letter@3 doesn't"),
    ("custom", {"prompt": "letter", "variables": {"letter": "{{ anchor }}"}}, "variables", "means nothing here"),
    ("custom", {"prompt": "letter", "variables": {"letter": "Dear {{ document }}"}}, "variables", "alone"),
    ("custom", {"prompt": "letter", "variables": {"letter": "x", "count": "{{ text }}"}}, "variables", "of the type number"),
    ("custom", {"prompt": "letter", "variables": {"letter": "{{ text }}", "count": "two"}}, "variables", "must be a number"),
    ("cascade", {"model": "big"}, "of", "is missing"),
    ("cascade", {"of": "ask", "model": "big"}, "of", "extract, classify or custom"),
    ("cascade", {"of": "extract", "model": "big", "schema": SCHEMA}, "first_model", "is missing"),
    ("cascade", {"of": "extract", "model": "big", "schema": SCHEMA, "first_model": "big"}, "model", "is the first model as well"),
    ("cascade", {"of": "custom", "model": "big", "user": "{{ text }}", "first_model": "small", "accept_if": "schema"}, "schema", ""),
    ("cascade", {"of": "extract", "model": "big", "schema": SCHEMA, "first_model": "small", "accept_if": "nice"}, "accept_if", "nice"),
    ("steps", {}, "steps", "give at least one"),
    ("steps", steps({"name": "text"}), "steps", "number 1 needs a name"),
    ("steps", steps({"name": "a"}, {"name": "a"}), "steps", "two called a"),
    ("steps", steps({"name": "a", "user": "{{ b }} {{ text }}"}), "steps.a.user", "{{ b }}"),
    ("steps", steps({"name": "a", "after": ["b"]}), "steps.a.after", "no such step"),
    ("steps", steps({"name": "a"}, {"name": "b", "after": ["a"]}), "steps.b.after", "no text uses"),
    ("steps", steps({"name": "a", "user": "{{ b }}"}, {"name": "b", "user": "{{ a }}"}), "steps", "a after b after a"),
    ("steps", steps({"name": "a", "user": "{{ a }}"}), "steps", "a after a"),
    ("steps", steps({"name": "a"}, {"name": "b"}), "steps.a", "answers what no step uses"),
    ("steps", steps({"name": "a", "each": "job", "user": "{{ text }}"}), "steps.a.user", "each = part or document"),
    (
        "steps",
        steps({"name": "a", "each": "part"}, {"name": "b", "each": "job", "user": "{{ a }}"}),
        "steps.b.user",
        "for each document or job",
    ),
    ("steps", steps({"name": "a"}, {"name": "b", "group": 3, "user": "{{ a }}", "part_tokens": 500}), "steps.b.part_tokens", "each = part"),
    ("steps", steps({"name": "a", "group": 3}), "steps.a.group", "take it out"),
    ("steps", steps({"name": "a", "colour": "red"}), "steps.a.colour", "is no field here"),
    ("steps", steps({"name": "a"}, {"name": "b", "user": "{{ a }}", "values": {"a": "x"}}), "steps.b.values", "name of a step"),
    ("steps", {**steps({"name": "a"}), "first_model": "small"}, "steps.a.model", "is the first model as well"),
]


@pytest.mark.parametrize(("kind", "declared", "field", "message"), REFUSED, ids=lambda value: str(value)[:60])
def test_what_is_wrong_is_told_with_its_field(kind: str, declared: dict[str, Any], field: str, message: str) -> None:
    told_field, told = refusal(kind, **declared)
    assert told_field == field, told
    assert message in told
