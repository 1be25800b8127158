"""What comes next, by how the items of the steps stand."""

from apps.jobs.domain.next_asks import Ask, Standing, find_done, find_next, steps_of_documents, steps_of_job
from apps.jobs.domain.recipe import Each, Plan, Step

FIRST = Step("first", Each.PART, "{{ text }}", "m", part_tokens=10)
SIDE = Step("side", Each.DOCUMENT, "{{ text }}", "m")
FOLD = Step("fold", Each.DOCUMENT, "{{ first }}", "m", after=("first",), group=3)
ALL = Step("all", Each.JOB, "{{ fold }}", "m", after=("fold", "side"))
LAST = Step("last", Each.DOCUMENT, "{{ all }} {{ fold }}", "m", after=("all", "fold"))
PLAN = Plan((FIRST, SIDE, FOLD, ALL, LAST))
STEPS = steps_of_documents(PLAN)


def done(items: int) -> Standing:
    return Standing(items, items, 0)


def test_what_depends_on_nothing_is_asked_at_once() -> None:
    assert find_next(STEPS, {}, done_elsewhere=()) == [Ask(FIRST), Ask(SIDE)]


def test_a_step_waits_for_all_parts_of_the_one_before() -> None:
    assert find_next(STEPS, {("first", 0): Standing(5, 4, 0), ("side", 0): done(1)}, done_elsewhere=()) == []
    assert find_next(STEPS, {("first", 0): done(5), ("side", 0): done(1)}, done_elsewhere=()) == [Ask(FOLD)]


def test_groups_are_grouped_until_one_is_left() -> None:
    standings = {("first", 0): done(20), ("side", 0): done(1), ("fold", 0): done(7)}
    assert find_next(STEPS, standings, done_elsewhere=()) == [Ask(FOLD, 1, 7)]
    # Of seven, two groups of three were asked; the seventh is carried.
    standings[("fold", 1)] = Standing(2, 1, 0)
    assert find_next(STEPS, standings, done_elsewhere=()) == []
    standings[("fold", 1)] = done(2)
    assert find_next(STEPS, standings, done_elsewhere=()) == [Ask(FOLD, 2, 7)]
    standings[("fold", 2)] = done(1)
    assert find_done(STEPS, standings) == {"first", "side", "fold"}
    assert find_next(STEPS, standings, done_elsewhere=()) == []
    assert find_next(STEPS, standings, done_elsewhere={"all"}) == [Ask(LAST)]


def test_what_died_stops_everything_of_its_document() -> None:
    assert find_next(STEPS, {("first", 0): done(2), ("side", 0): Standing(1, 0, 1)}, done_elsewhere=()) == []


def test_a_step_for_all_waits_until_all_have_come_through() -> None:
    assert find_next(steps_of_job(PLAN), {}, done_elsewhere={"first", "side"}) == []
    assert find_next(steps_of_job(PLAN), {}, done_elsewhere={"first", "side", "fold"}) == [Ask(ALL)]
