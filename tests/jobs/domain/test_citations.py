"""Citations in answers: what is one, and what only looks like it."""

import pytest

from apps.jobs.domain.citations import cited_numbers, cut_citations


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("It is so [1].", [1]),
        ("So [2][1], and [2].", [2, 1]),
        ("So [1, 3; 2].", [1, 3, 2]),
        ("There is no [4], no [0], no [01], no [x], no [-1], no (1).", []),
        ("[1]", [1]),
        ("", []),
    ],
)
def test_numbers_of_passages_that_there_are_count(text: str, numbers: list[int]) -> None:
    assert cited_numbers(text, passages=3) == numbers
    assert "".join(said.text for said in cut_citations(text, passages=3)) == text
