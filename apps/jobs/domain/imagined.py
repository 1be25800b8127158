"""The requests that a recipe would make of documents, before any is answered: with texts as they are, and answers as long as is usual."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from apps.jobs.domain.fold import cut_groups, groups_of_round
from apps.jobs.domain.recipe import Each, Plan, Step
from apps.jobs.domain.step_request import StepRefusedError, Told, compose_request, join_answers, reads_text

# An answer of a few paragraphs; and a passage as long as documents are cut into.
_ANSWER_TOKENS, _PASSAGE_TOKENS = 300, 256
# A frequent short word with its blank is one token.
_WORD = "word "


@dataclass(frozen=True, slots=True)
class Example:
    """A document that stands for others; `parts` cuts its text into parts of so many tokens."""

    name: str
    text: str
    parts: Callable[[int], Sequence[str]]


def reads_documents(plan: Plan) -> bool:
    """Whether texts go into its requests, and not passages or answers alone."""
    return any(reads_text(step) for step in plan.steps)


def imagine_requests(plan: Plan, examples: Sequence[Example], *, most_bytes: int, of_job_alone: bool = False) -> Iterator[bytes]:
    """Bodies of chat completions; what can't be asked of a document is left out. `of_job_alone`: those for all documents together."""
    of_document = [_count(plan, example) for example in examples]
    for step in plan.steps:
        if step.each is Each.JOB:
            yield from _asked(plan, step, Told(), _folded(plan, step, of_document), most_bytes)
        if of_job_alone:
            continue
        for example, counts in zip(examples, of_document, strict=True):
            if step.each is Each.PART:
                parts = example.parts(step.part_tokens)
                for number, text in enumerate(parts, start=1):
                    yield from _asked(plan, step, Told(example.name, text, part=number, parts=len(parts)), 0, most_bytes)
            elif step.each is Each.DOCUMENT:
                most = max((counts[name] for name in step.after if name in counts), default=0)
                yield from _asked(plan, step, Told(example.name, example.text), most, most_bytes)


def _count(plan: Plan, example: Example) -> dict[str, int]:
    """How many answers each step that asks for parts gets."""
    return {step.name: len(example.parts(step.part_tokens)) for step in plan.steps if step.each is Each.PART}


def _folded(plan: Plan, step: Step, of_document: Sequence[dict[str, int]]) -> int:
    asked = {one.name for one in plan.steps if one.each is not Each.JOB}
    return sum(max((counts.get(name, 1) for name in step.after if name in asked), default=0) for counts in of_document)


def _asked(plan: Plan, step: Step, told: Told, many: int, most_bytes: int) -> Iterator[bytes]:
    """One request, or those that fold so many answers into one."""
    lengths = {one.name: _answer_tokens(one) for one in plan.steps}
    groups = [len(group) for group in cut_groups(range(many), step.group)]
    rounds = 1
    while later := groups_of_round(len(cut_groups(range(many), step.group)), step.group, rounds) if step.group else []:
        groups += [len(places) for _, places in later]
        rounds += 1
    passages = _words(min(step.passages * _PASSAGE_TOKENS, len(told.text) // 4) if told.text else step.passages * _PASSAGE_TOKENS)
    for size in groups:
        answers = {name: join_answers([_words(lengths[name])] * max(1, size)) for name in step.after}
        filled = Told(told.document, told.text, told.anchor, told.part, told.parts, passages, answers)
        try:
            yield compose_request(step, filled, policy=plan.policy, most_bytes=most_bytes)
        except StepRefusedError:
            # Such a document fails at this step, and costs nothing there.
            continue


def _answer_tokens(step: Step) -> int:
    limits = [step.parameters.get(name) for name in ("max_tokens", "max_completion_tokens")]
    return min([_ANSWER_TOKENS, *(limit for limit in limits if isinstance(limit, int))])


def _words(tokens: int) -> str:
    return _WORD * tokens
