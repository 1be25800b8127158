"""ARCHITECTURE.md shows the states as the code has them."""

import re

from apps.jobs.domain.lifecycle import ITEM_TRANSITIONS, JOB_TRANSITIONS
from tests.architecture.source import ROOT


def drawn(heading: str) -> set[tuple[str, str]]:
    """The arrows `a -> b` in the block that follows a heading."""
    text = (ROOT / "ARCHITECTURE.md").read_text().split(heading, 1)[1].split("```")[1]
    return {(before, after) for before, after in re.findall(r"(\w+) -> (\w+)", text)}


def test_item_states_are_drawn_as_they_are() -> None:
    assert drawn("### States of an item") == {
        (before.value, after.value) for before, following in ITEM_TRANSITIONS.items() for after in following
    }


def test_job_statuses_are_drawn_as_they_are() -> None:
    assert drawn("### Statuses of a job") == {
        (before.value, after.value) for before, following in JOB_TRANSITIONS.items() for after in following
    }
