"""A step that says its own texts, or those of a stored prompt of the workspace whose variables are told what they mean."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from apps.jobs.domain.recipe import Each, Step
from apps.jobs.domain.recipe_checks import PLACES, RESERVED
from apps.jobs.domain.recipe_fields import Fields
from apps.prompts.domain.book import PromptUnknownError
from apps.prompts.domain.content import NAME, PublishedPrompt
from apps.prompts.domain.variables import NAME as VARIABLE
from apps.prompts.domain.variables import Variable, VariableRefusedError, VariableType

# By name and number; without a number the one that is current when the recipe is declared.
FindPrompt = Callable[[str, int | None], PublishedPrompt]
MOST_PASSAGES = 50
MOST_WINDOW_TOKENS = 10_000_000
MOST_GROUP = 1000
_REFERENCE = re.compile(rf"({NAME.pattern})(?:@([1-9][0-9]{{0,8}}))?")
_ALONE = re.compile(rf"\{{\{{[ \t]*({VARIABLE.pattern})[ \t]*\}}\}}")
_MODEL_LENGTH = 200


def own_prompt(fields: Fields, find_prompt: FindPrompt, *, name: str, each: Each, before: tuple[str, ...] = ()) -> Step:
    """`before`: the steps whose results it may use, by their names."""
    values = _own_values(fields)
    step = Step(
        name,
        each,
        user=fields.text("user", ""),
        model=fields.text("model", "", most=_MODEL_LENGTH).strip(),
        system=fields.text("system", ""),
        values=values,
        parameters=fields.mapping("parameters"),
        output_schema=fields.schema("schema"),
        query=fields.text("query", ""),
        passages=fields.whole("passages", 0, least=0, most=MOST_PASSAGES),
        window_tokens=fields.whole("window_tokens", 0, least=0, most=MOST_WINDOW_TOKENS),
    )
    reference, variables = fields.text("prompt", "", most=100), fields.mapping("variables")
    if reference:
        if step.user or step.system:
            raise fields.refuse("prompt", "and texts of the recipe's own can't both be given; take user and system out.")
        step = _from_stored(step, _find(fields, find_prompt, reference), fields, variables, before)
    elif variables:
        raise fields.refuse("variables", "are for a stored prompt; the meaning of own variables stands in values.")
    elif not step.user and not step.system:
        raise fields.refuse("user", "is missing: give a text, or name a stored prompt in prompt.")
    if not step.model:
        raise fields.refuse("model", f"is missing: name one{f', because {reference} names none' if reference else ''}.")
    return step


def _own_values(fields: Fields) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in fields.mapping("values").items():
        if not VARIABLE.fullmatch(name) or name in RESERVED:
            raise fields.refuse("values", f"can't have {name[:64]!r}: a name has letters, digits and '_', and is none of {_reserved()}.")
        if not isinstance(value, str) or "\0" in value:
            raise fields.refuse("values", f"must be texts, and that of {name} isn't.")
        found[name] = value
    return found


def _reserved() -> str:
    return ", ".join(sorted(RESERVED))


def _find(fields: Fields, find_prompt: FindPrompt, reference: str) -> PublishedPrompt:
    if not (told := _REFERENCE.fullmatch(reference.strip())):
        raise fields.refuse("prompt", 'must be the name of a stored prompt, with or without a version: "letter" or "letter@3".')
    try:
        return find_prompt(told.group(1), int(told.group(2)) if told.group(2) else None)
    except PromptUnknownError as unknown:
        raise fields.refuse("prompt", f"can't be used. {unknown.message}") from unknown


def _from_stored(step: Step, prompt: PublishedPrompt, fields: Fields, given: Mapping[str, Any], before: tuple[str, ...]) -> Step:
    content = prompt.content
    declared = {variable.name for variable in content.variables}
    if unknown := next((name for name in given if name not in declared), None):
        known = ", ".join(sorted(declared)) or "none"
        raise fields.refuse("variables", f"has {unknown[:64]!r}, which {prompt.label} doesn't; it has: {known}.")
    usable = {*PLACES[step.each], *(("passages",) if step.passages else ()), *before}
    placed: dict[str, str] = {}
    values = dict(step.values)
    for variable in content.variables:
        target = _target(variable, given, usable, fields, prompt)
        if target is not None:
            placed[variable.name] = target
        else:
            placed[variable.name] = own = _free_name(variable.name, {*usable, *RESERVED, *values})
            values[own] = _literal(variable, given, fields, prompt)
    return replace(
        step,
        system=_renamed(content.system, placed),
        user=_renamed(content.user, placed),
        model=step.model or content.model,
        values=values,
        parameters={**content.parameters, **step.parameters},
        output_schema=step.output_schema if step.output_schema is not None else content.output_schema,
        prompt_version=prompt.label,
    )


def _target(variable: Variable, given: Mapping[str, Any], usable: set[str], fields: Fields, prompt: PublishedPrompt) -> str | None:
    """What of the step the variable stands for: what it is told, else what is called as it is. None: it has a value of its own."""
    told = given.get(variable.name)
    alone = _ALONE.fullmatch(told.strip()) if isinstance(told, str) else None
    if alone is None and isinstance(told, str) and _ALONE.search(told):
        raise fields.refuse("variables", f"gives {variable.name} a text with a placeholder in it; a placeholder stands alone.")
    if alone is None and (variable.name in given or variable.name not in usable):
        return None
    target = alone.group(1) if alone else variable.name
    if target not in usable:
        known = ", ".join(sorted(usable)) or "none"
        raise fields.refuse("variables", f"gives {variable.name} {{{{ {target} }}}}, which means nothing here; there are {known}.")
    if variable.type is not VariableType.TEXT:
        message = f"gives {variable.name} {{{{ {target} }}}}, a text, but in {prompt.label} it is of the type {variable.type}."
        raise fields.refuse("variables", message)
    return target


def _literal(variable: Variable, given: Mapping[str, Any], fields: Fields, prompt: PublishedPrompt) -> str:
    if variable.name not in given:
        if variable.is_required:
            message = f"doesn't say what {variable.name} of {prompt.label} means: a text, or {{{{ text }}}} for the document's."
            raise fields.refuse("variables", message)
        return "" if variable.default is None else variable.text_of(variable.default)
    try:
        return variable.text_of(given[variable.name])
    except VariableRefusedError as refused:
        raise fields.refuse("variables", f"doesn't fit {prompt.label}: {refused.message}") from refused


def _free_name(name: str, taken: set[str]) -> str:
    """A prompt may call a variable what is something else here."""
    while name in taken:
        name = f"own_{name}"[:64]
    return name


def _renamed(text: str, names: Mapping[str, str]) -> str:
    return _ALONE.sub(lambda found: f"{{{{ {names[found.group(1)]} }}}}" if found.group(1) in names else found.group(0), text)
