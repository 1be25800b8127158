"""Recipes of one's own steps: each asks with its own texts, and may use what steps before it answered, by their names."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from apps.jobs.domain.own_prompt import MOST_GROUP, FindPrompt, own_prompt
from apps.jobs.domain.recipe import Each, Step
from apps.jobs.domain.recipe_checks import RESERVED, check_step, uses
from apps.jobs.domain.recipe_fields import Fields, RecipeRefusedError
from apps.prompts.domain.variables import NAME

MOST_STEPS = 20
_NAME_LENGTH = 50
_PART_TOKENS = 2000
# Whose results a step can use: of a part, what was said of that part or of its document comes too late otherwise.
_MAY_USE = {Each.PART: (Each.PART,), Each.DOCUMENT: (Each.PART, Each.DOCUMENT), Each.JOB: (Each.DOCUMENT, Each.JOB)}


def read_steps(fields: Fields, find_prompt: FindPrompt) -> tuple[Step, ...]:
    """Each after those that it uses, the last one the result; RecipeRefusedError names the step and its field."""
    entries = fields.entries("steps", most=MOST_STEPS)
    if not entries:
        raise fields.refuse("steps", "is missing: give at least one, with name, each, model and user.")
    names = _names(entries, fields)
    steps = {name: _read_step(name, entry, names, find_prompt) for name, entry in zip(names, entries, strict=True)}
    for step in steps.values():
        _check_links(step, steps)
    ordered = _ordered(steps)
    for step in ordered:
        check_step(step, prefix=f"steps.{step.name}.", names={"output_schema": "schema"})
    _refuse_unused(ordered)
    return ordered


def _names(entries: list[Any], fields: Fields) -> tuple[str, ...]:
    names: list[str] = []
    for number, entry in enumerate(entries, start=1):
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not NAME.fullmatch(name) or len(name) > _NAME_LENGTH or name in RESERVED:
            reserved = ", ".join(sorted(RESERVED))
            raise fields.refuse(
                "steps",
                f"number {number} needs a name: up to {_NAME_LENGTH} letters, digits and '_', beginning with no digit, none of {reserved}.",
            )
        if name in names:
            raise fields.refuse("steps", f"has two called {name}; give one another name.")
        names.append(name)
    return tuple(names)


def _read_step(name: str, entry: Mapping[str, Any], names: tuple[str, ...], find_prompt: FindPrompt) -> Step:
    fields = Fields({key: value for key, value in entry.items() if key != "name"}, prefix=f"steps.{name}.")
    each = Each(fields.choice("each", tuple(Each), Each.DOCUMENT))
    others = tuple(other for other in names if other != name)
    step = own_prompt(fields, find_prompt, name=name, each=each, before=others)
    if clash := next((value for value in step.values if value in names), None):
        raise fields.refuse("values", f"has {clash}, which is the name of a step; give it another name.")
    part_tokens = fields.whole("part_tokens", _PART_TOKENS if each is Each.PART else 0, least=100, most=100_000)
    group = fields.whole("group", 0, least=2, most=MOST_GROUP)
    step = replace(step, after=_after(step, fields, names), part_tokens=part_tokens, group=group)
    if part_tokens and each is not Each.PART:
        raise fields.refuse("part_tokens", "is for a step with each = part; take it out.")
    if group and (len(step.after) != 1 or each is Each.PART):
        raise fields.refuse("group", "is for a step that puts many results of one step together; take it out.")
    fields.close()
    return step


def _after(step: Step, fields: Fields, names: tuple[str, ...]) -> tuple[str, ...]:
    """The steps that its texts use, in the order of the recipe. What is written in `after` must be the same."""
    texts = {name: getattr(step, name) for name in ("system", "user", "query")}
    used = {name for field, text in texts.items() for name in uses(text, f"steps.{step.name}.{field}")}
    told = fields.entries("after", most=MOST_STEPS)
    for name in told:
        if not isinstance(name, str) or name not in names:
            raise fields.refuse("after", f"names {str(name)[:60]!r}, and there is no such step; there are {', '.join(names)}.")
        if name not in used:
            raise fields.refuse("after", f"names {name}, whose result no text uses: write {{{{ {name} }}}} there, or take it out.")
    if told and (left_out := next((name for name in names if name in used and name not in told), None)):
        raise fields.refuse("after", f"leaves out {left_out}, which a text uses; add it, or leave after out altogether.")
    return tuple(name for name in names if name in used)


def _check_links(step: Step, steps: Mapping[str, Step]) -> None:
    where = f"steps.{step.name}"
    for name in step.after:
        other = steps[name]
        if name != step.name and other.each not in _MAY_USE[step.each]:
            allowed = " or ".join(_MAY_USE[step.each])
            raise RecipeRefusedError(
                f"{where}.user", f"{where}.user uses {{{{ {name} }}}}, which is asked for each {other.each}; a step for each {step.each}"
                f" can use steps for each {allowed}."
            )  # fmt: skip
        if step.each is other.each is Each.PART and step.part_tokens != other.part_tokens:
            raise RecipeRefusedError(
                f"{where}.part_tokens", f"{where}.part_tokens must be {other.part_tokens:,}, as that of {name}, whose results it uses."
            )  # fmt: skip


def _ordered(steps: Mapping[str, Step]) -> tuple[Step, ...]:
    """As they were declared where that goes, and each after those that it uses."""
    done: dict[str, Step] = {}
    waiting = dict(steps)
    while waiting:
        ready = next((step for step in waiting.values() if all(name in done for name in step.after)), None)
        if ready is None:
            raise RecipeRefusedError("steps", f"steps go round in a circle: {' after '.join(_circle(waiting))}; take one use out.")
        done[ready.name] = waiting.pop(ready.name)
    return tuple(done.values())


def _circle(waiting: Mapping[str, Step]) -> list[str]:
    way: list[str] = [next(iter(waiting))]
    while way.count(way[-1]) < 2:
        way.append(next(name for name in waiting[way[-1]].after if name in waiting))
    return way[way.index(way[-1]) :]


def _refuse_unused(ordered: tuple[Step, ...]) -> None:
    """Only the result may be used by nobody."""
    used = {name for step in ordered for name in step.after}
    loose = [step.name for step in ordered if step.name not in used]
    if len(loose) > 1:
        last = loose[-1]
        raise RecipeRefusedError(
            f"steps.{loose[0]}",
            f"steps.{loose[0]} answers what no step uses: write {{{{ {loose[0]} }}}} in another, or take it out ({last} is the result).",
        )
