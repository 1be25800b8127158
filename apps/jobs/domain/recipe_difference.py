"""What is different between two numbers of a recipe, step by step and line by line."""

from collections.abc import Iterator

import orjson

from apps.jobs.domain.recipe import Plan, Step
from apps.prompts.domain.difference import PartDifference, compare_lines

_SETTINGS = ("each", "model", "after", "query", "passages", "group", "part_tokens", "prompt_version", "parameters")


def compare_plans(before: Plan, after: Plan) -> list[PartDifference]:
    """The parts that differ, in the order of the later plan; of a step that is gone, all its lines are taken away."""
    old, new = _parts(before), _parts(after)
    names = [*new, *(name for name in old if name not in new)]
    return [
        PartDifference(name, tuple(compare_lines(old.get(name, []), new.get(name, []))))
        for name in names
        if old.get(name, []) != new.get(name, [])
    ]


def _parts(plan: Plan) -> dict[str, list[str]]:
    parts = {name: lines for step in plan.steps for name, lines in _of_step(step)}
    return parts | {"answers": [plan.policy.in_words()] if plan.policy.in_words() else []}


def _of_step(step: Step) -> Iterator[tuple[str, list[str]]]:
    told = step.as_json()
    yield step.name, [f"{name}: {_text(told[name])}" for name in _SETTINGS if name in told]
    yield f"{step.name}: system", step.system.splitlines()
    yield f"{step.name}: user", step.user.splitlines()
    yield f"{step.name}: values", [line for name, value in step.values.items() for line in f"{name}: {value}".splitlines()]
    schema = step.output_schema
    yield f"{step.name}: schema", [] if schema is None else orjson.dumps(schema, option=orjson.OPT_INDENT_2).decode().splitlines()


def _text(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
