"""Which passages a step's request has room for."""

from collections.abc import Sequence

from apps.jobs.domain.recipe import Step
from apps.jobs.domain.step_request import Passage, StepRefusedError, Told, fill_texts, number_passages, place_of
from apps.prompts.domain.assembly import Part, SectionName, Sections, WindowTooSmallError, assemble

# Kept for the answer of a step that doesn't bound it.
_ANSWER_TOKENS = 1_000
_BOUNDS = ("max_completion_tokens", "max_tokens")


def with_passages(step: Step, told: Told, passages: Sequence[Passage]) -> Told:
    """What the step is told, with all of its passages, or with as many of the best as its window holds; each keeps its number.

    StepRefusedError when not even the rest of the request fits.
    """
    if not step.window_tokens:
        return told.with_passages(number_passages(passages))
    system, user = fill_texts(step, told.with_passages(""))
    parts = [Part(passage.text, label=place_of(passage)) for passage in passages]
    reserved = next((step.parameters[name] for name in _BOUNDS if name in step.parameters), _ANSWER_TOKENS)
    try:
        report = assemble(Sections(input=user, system=system, passages=parts), step.window_tokens, reserved).report
    except WindowTooSmallError as error:
        message = f"{error} Give the step a greater window_tokens, or bound its answer by max_tokens."
        raise StepRefusedError("request_too_large", message) from error
    # Those ranked last are cut first.
    return told.with_passages(number_passages(passages[: report.of(SectionName.PASSAGES).kept]))
