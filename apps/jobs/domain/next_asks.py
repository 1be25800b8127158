"""What a recipe asks next of a document, or of the whole job, by how the items of its steps stand."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from apps.jobs.domain.fold import fold_rounds
from apps.jobs.domain.recipe import Each, Plan, Step


@dataclass(frozen=True, slots=True)
class Standing:
    """How the items of one round of a step stand; those that are neither done nor dead are open."""

    items: int
    done: int
    dead: int


Standings = Mapping[tuple[str, int], Standing]
"""By step and round; what is not there was not asked."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A round of a step that can be asked now; `count` is what the first round made, for those after it."""

    step: Step
    round: int = 0
    count: int = 0


def steps_of_documents(plan: Plan) -> tuple[Step, ...]:
    """Those that ask for each document or part."""
    return tuple(step for step in plan.steps if step.each is not Each.JOB)


def steps_of_job(plan: Plan) -> tuple[Step, ...]:
    """Those that ask for all documents together."""
    return tuple(step for step in plan.steps if step.each is Each.JOB)


def is_stuck(standings: Standings) -> bool:
    """Something of it died: nothing more is asked until that is run again."""
    return any(standing.dead for standing in standings.values())


def is_open(standings: Standings) -> bool:
    """Something of it waits or runs."""
    return any(standing.done + standing.dead < standing.items for standing in standings.values())


def find_done(steps: Sequence[Step], standings: Standings) -> set[str]:
    """The names of the steps that have their last result."""
    return {step.name for step in steps if _rounds_left(step, standings) == 0}


def find_next(steps: Sequence[Step], standings: Standings, *, done_elsewhere: Collection[str]) -> list[Ask]:
    """In the order of the plan; nothing once something died.

    `done_elsewhere`: what is done of the job, seen from a document; what all documents have come through, seen from the job.
    """
    if is_stuck(standings):
        return []
    done = find_done(steps, standings).union(done_elsewhere)
    asks = []
    for step in steps:
        first = standings.get((step.name, 0))
        if first is None:
            if done.issuperset(step.after):
                asks.append(Ask(step))
        elif step.name not in done and _is_settled(step, standings):
            asks.append(Ask(step, _rounds_asked(step, standings), first.items))
    return asks


def _rounds_left(step: Step, standings: Standings) -> int | None:
    """0: it has its last result; None: it was not asked, or something of it is open or dead."""
    first = standings.get((step.name, 0))
    if first is None or not _is_settled(step, standings):
        return None
    # The parts of a text are results of their own.
    rounds = 0 if step.each is Each.PART else len(fold_rounds(first.items, step.group))
    return 1 + rounds - _rounds_asked(step, standings)


def _rounds_asked(step: Step, standings: Standings) -> int:
    return sum(name == step.name for name, _ in standings)


def _is_settled(step: Step, standings: Standings) -> bool:
    return all(standing.done == standing.items for (name, _), standing in standings.items() if name == step.name)
