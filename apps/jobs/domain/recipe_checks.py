"""Whether a step can be asked: its texts, what they use, its model's parameters and its schema."""

from collections.abc import Callable, Collection

from apps.jobs.domain.recipe import Each, Step
from apps.jobs.domain.recipe_fields import RecipeRefusedError
from apps.prompts.domain.content import ContentRefusedError, read_content
from apps.prompts.domain.template import check_template
from apps.prompts.domain.variables import VariableRefusedError
from apps.providers.domain.contract import ContractRefusedError
from apps.providers.domain.policy import AnswerPolicy, check_request

_CHAT = "/v1/chat/completions"
_OF_A_DOCUMENT = ("document", "text")
_OF_A_PART = (*_OF_A_DOCUMENT, "anchor", "part", "parts")
PLACES = {Each.PART: _OF_A_PART, Each.DOCUMENT: _OF_A_DOCUMENT, Each.JOB: ()}
# None of these can be the name of a step or of a value.
RESERVED = frozenset({*_OF_A_PART, "passages"})


def uses(text: str, field: str) -> tuple[str, ...]:
    """The variables that a text uses; RecipeRefusedError when one can't stand where it does."""
    try:
        return check_template(text).names
    except VariableRefusedError as refused:
        raise RecipeRefusedError(field, f"{field}: {refused.message}") from refused


def check_step(step: Step, *, prefix: str = "", names: dict[str, str] | None = None) -> None:
    """RecipeRefusedError names the field of this step (`prefix` before it) that can't be asked so.

    `names`: what the declaration calls a field, where that is another name than the step's.
    """
    known = names or {}

    def field(name: str) -> str:
        return f"{prefix}{known.get(name, name)}"

    told = {name: uses(getattr(step, name), field(name)) for name in ("system", "user", "query")}
    _check_known(step, told, field("user"), {name: field(name) for name in told})
    _check_values(step, {name for used in told.values() for name in used}, field("values"))
    _check_passages(step, told, field("passages"), field("query"), field("user"))
    if not {name for used in told.values() for name in used} - set(step.values):
        can_use = _sentence(_usable(step))
        raise RecipeRefusedError(field("user"), f"{field('user')} asks the same each time: use {can_use}.")
    _check_content(step, {*told["system"], *told["user"]}, field)


def check_policy(step: Step, policy: AnswerPolicy, field: str, model_field: str) -> None:
    """Whether answers of the step can be come by so: a contract needs a schema that can be checked, a first model is another one."""
    body: dict[str, object] = {"model": step.model}
    if step.output_schema is not None:
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": step.name, "schema": dict(step.output_schema)}}
    try:
        check_request(policy, body, endpoint=_CHAT)
    except ContractRefusedError as refused:
        at = model_field if refused.param == "model" else field
        what = "is the first model as well; name another." if refused.param == "model" else refused.message
        raise RecipeRefusedError(at, f"{at} {what}" if refused.param == "model" else f"{at}: {what}") from refused


def _usable(step: Step) -> tuple[str, ...]:
    return (*PLACES[step.each], *(("passages",) if step.passages else ()), *step.after)


def _check_known(step: Step, told: dict[str, tuple[str, ...]], default: str, fields: dict[str, str]) -> None:
    known = {*_usable(step), *step.values}
    for place, used in told.items():
        if missing := next((name for name in used if name not in known), None):
            at = fields.get(place, default)
            raise RecipeRefusedError(at, f"{at} uses {{{{ {missing} }}}}, which means nothing here{_why(step, missing)}")


def _why(step: Step, missing: str) -> str:
    if missing == "passages":
        return ": say in passages how many to retrieve."
    if missing in _OF_A_PART:
        each = "each = part" if missing not in _OF_A_DOCUMENT else "each = part or document"
        return f": {missing} is there for a step with {each}."
    return f"; there are {_listed((*_usable(step), *step.values))}."


def _check_values(step: Step, used: Collection[str], field: str) -> None:
    if unused := next((name for name in step.values if name not in used), None):
        raise RecipeRefusedError(field, f"{field} gives {unused}, which no text uses: write {{{{ {unused} }}}} there, or take it out.")


def _check_passages(step: Step, told: dict[str, tuple[str, ...]], field: str, query: str, user: str) -> None:
    if step.passages and not step.query.strip():
        raise RecipeRefusedError(query, f"{query} is missing: what are the passages to be about?")
    if step.query and not step.passages:
        raise RecipeRefusedError(field, f"{field} is missing: how many passages are retrieved for the query?")
    if "passages" in told["query"]:
        raise RecipeRefusedError(query, f"{query} uses {{{{ passages }}}}, which are retrieved by it.")
    if step.passages and "passages" not in {*told["system"], *told["user"]}:
        raise RecipeRefusedError(user, f"{user} must say where the passages go: {{{{ passages }}}}.")


def _check_content(step: Step, used: Collection[str], field: Callable[[str], str]) -> None:
    """Lengths, parameters and schema are judged as those of a stored prompt are."""
    try:
        read_content(
            system=step.system,
            user=step.user,
            variables=[{"name": name} for name in used],
            model=step.model,
            parameters=dict(step.parameters),
            output_schema=None if step.output_schema is None else dict(step.output_schema),
        )
    except ContentRefusedError as refused:
        name = "schema" if refused.field == "output_schema" else refused.field
        at = field(name)
        raise RecipeRefusedError(at, f"{at}: {refused.message}") from refused


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"


def _sentence(names: tuple[str, ...]) -> str:
    return " or ".join(f"{{{{ {name} }}}}" for name in names) or "the result of a step before it, or passages"
