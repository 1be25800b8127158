"""From what somebody declares to the plan that a job follows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.jobs.domain.builtin_recipes import BUILT_IN
from apps.jobs.domain.own_prompt import FindPrompt
from apps.jobs.domain.own_steps import read_steps
from apps.jobs.domain.recipe import Plan, Step
from apps.jobs.domain.recipe_checks import check_policy, check_step
from apps.jobs.domain.recipe_fields import Fields, RecipeRefusedError, check_json
from apps.providers.domain.policy import AnswerPolicy, CacheTimes, Given, PolicyRefusedError, read_policy

KINDS = (*BUILT_IN, "cascade", "steps")
CASCADED = ("extract", "classify", "custom")
MOST_DECLARED = 500_000
_CHAT = "/v1/chat/completions"
_FIELD_OF = {"output_schema": "schema"}


@dataclass(frozen=True, slots=True)
class ReadRecipe:
    """A good declaration: as it is kept, and the plan that comes of it."""

    declared: str
    plan: Plan


def read_recipe(kind: str, declared: Mapping[str, Any], *, find_prompt: FindPrompt, times: CacheTimes) -> ReadRecipe:
    """RecipeRefusedError names the field that is wrong, and what to do."""
    if kind not in KINDS:
        raise RecipeRefusedError("kind", f"kind must be one of {', '.join(KINDS)}; not {kind[:60]!r}.")
    kept = check_json(declared)
    if len(kept) > MOST_DECLARED:
        raise RecipeRefusedError("declared", f"The recipe has {len(kept):,} characters; {MOST_DECLARED:,} at most.")
    fields = Fields(declared)
    steps = _steps(kind, fields, find_prompt)
    policy = _policy(kind, fields, steps, times)
    fields.close()
    for step in steps:
        _check(kind, step, policy)
    return ReadRecipe(kept, Plan(steps, policy))


def _steps(kind: str, fields: Fields, find_prompt: FindPrompt) -> tuple[Step, ...]:
    if kind == "steps":
        return read_steps(fields, find_prompt)
    return BUILT_IN[fields.choice("of", CASCADED) if kind == "cascade" else kind](fields, find_prompt)


def _check(kind: str, step: Step, policy: AnswerPolicy) -> None:
    prefix = f"steps.{step.name}." if kind == "steps" else ""
    if not prefix:
        check_step(step, names=_FIELD_OF)
    check_policy(step, policy, f"{prefix}schema", f"{prefix}model")


def _policy(kind: str, fields: Fields, steps: tuple[Step, ...], times: CacheTimes) -> AnswerPolicy:
    """Answers that have a schema are held against it, where every step has one."""
    said = {name: (name, fields.policy_text(name)) for name in ("cache", "failover")}
    if kind in {"cascade", "steps"}:
        said |= {name: (name, fields.policy_text(name)) for name in ("first_model", "accept_if")}
    if kind == "cascade" and not said["first_model"][1]:
        raise fields.refuse("first_model", "is missing: which model is asked first? What it answers is kept if accept_if holds.")
    if all(step.output_schema is not None for step in steps):
        said["output_contract"] = ("schema", "on")
    try:
        return read_policy(Given(said), endpoint=_CHAT, times=times)
    except PolicyRefusedError as refused:
        raise RecipeRefusedError(refused.param, refused.message) from refused
