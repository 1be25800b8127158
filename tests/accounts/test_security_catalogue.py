"""The requirements of docs/security.md: each stands there once, with a figure, and with tests that are there and run."""

import re

import pytest

from tests.faults import ROOT, assert_shown, shown_in

TOLD = (ROOT.parent / "docs" / "security.md").read_text()
NUMBERS = [*(f"S{number}" for number in range(1, 16)), *(f"F{number}" for number in range(88, 96))]
ROWS = [[cell.strip() for cell in line.strip("| ").split("|")] for line in TOLD.splitlines() if re.match(r"\| [SF]\d+ ", line)]


def test_every_requirement_stands_there_once() -> None:
    assert [row[0] for row in ROWS] == NUMBERS


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_requirement_has_its_figure_and_tests_that_exist_and_run(row: list[str]) -> None:
    _, requirement, does, figure, shown_by = row
    assert requirement
    assert does
    assert re.search(r"\b\d[\d,.]*\b", figure)
    named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", shown_by)
    assert shown_by.count("`") == 2 * len(named), "a test is named as `path::name`, its path below tests/"
    assert_shown({path: [name for other, name in named if other == path] for path, _ in named})


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_part_of_it_is_shown_by_every_run_of_the_suite(row: list[str]) -> None:
    """What takes long is left to `make chaos`."""
    assert any("mark.long" not in marks_of(path, name) for path, name in re.findall(r"`([\w/]+\.py)::(test_\w+)`", row[4]))


def marks_of(path: str, name: str) -> str:
    """As they are written: those of the test, and those of its module."""
    said = re.search(r"^pytestmark = .*(?:\n .*)*", (ROOT / path).read_text(), re.MULTILINE)
    return " ".join([*shown_in(path)[name], said[0] if said else ""])


def test_the_pages_lead_to_each_other() -> None:
    assert "docs/security.md" in (ROOT.parent / "SECURITY.md").read_text()
    assert "docs/security.md" in (ROOT.parent / "README.md").read_text()
