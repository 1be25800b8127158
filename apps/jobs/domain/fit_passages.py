"""Which passages a step's request has room for."""

from collections.abc import Sequence

from apps.jobs.domain.recipe import Step
from apps.jobs.domain.step_request import StepRefusedError, Told, fill_texts
from apps.knowledge.domain.cited import CitedPassage
from apps.prompts.domain.assembly import Part, SectionName, Sections, WindowTooSmallError, assemble

# Kept for the answer of a step that doesn't bound it.
_ANSWER_TOKENS = 1_000
_BOUNDS = ("max_completion_tokens", "max_tokens")


def fit_passages(step: Step, told: Told, passages: Sequence[CitedPassage]) -> Sequence[CitedPassage]:
    """Those that its window holds beside what else it is told, the best first; all of them where it has no window.

    StepRefusedError when not even the rest of the request fits.
    """
    if not step.window_tokens:
        return passages
    system, user = fill_texts(step, told.with_passages(""))
    parts = [Part(passage.text, label=passage.place) for passage in passages]
    reserved = next((step.parameters[name] for name in _BOUNDS if name in step.parameters), _ANSWER_TOKENS)
    try:
        report = assemble(Sections(input=user, system=system, passages=parts), step.window_tokens, reserved).report
    except WindowTooSmallError as error:
        message = f"{error} Give the step a greater window_tokens, or bound its answer by max_tokens."
        raise StepRefusedError("request_too_large", message) from error
    # Those ranked last are cut first.
    return passages[: report.of(SectionName.PASSAGES).kept]
