"""Which way a search goes, which words lead it, and how two rankings become one."""

from uuid import UUID

import pytest

from apps.knowledge.domain.fusion import fuse
from apps.knowledge.domain.names import MetadataRefusedError, check_metadata
from apps.knowledge.domain.plan import choose_words, is_compared_whole
from apps.knowledge.domain.request import Mode, SearchRequest

A, B, C, D = (UUID(int=number) for number in range(1, 5))


def test_what_both_rankings_have_comes_before_what_one_has_first() -> None:
    found = fuse([A, B], [C, B], most=10)
    assert [(one.chunk_id, one.vector_rank, one.text_rank) for one in found] == [(B, 2, 2), (A, 1, None), (C, None, 1)]
    assert found == fuse([A, B], [C, B], most=10)
    assert [one.chunk_id for one in fuse([A, B], [C, B], most=2)] == [B, A]
    assert fuse([], [], most=5) == []


def test_equal_scores_have_one_order() -> None:
    assert [one.chunk_id for one in fuse([D], [C], most=5)] == [D, C]


@pytest.mark.parametrize(
    ("searched", "stored", "is_whole"),
    [
        (100, 10**7, True),
        (2_000, 2_000, True),
        (20_000, 20_000, False),
        (20_000, 10**7, True),
        (100_000, 100_000, False),
        (10**6, 10**7, False),
    ],
)
def test_few_chunks_are_compared_and_many_are_sought(searched: int, stored: int, is_whole: bool) -> None:  # noqa: FBT001 -- a table's column
    assert is_compared_whole(searched=searched, stored=stored, looked_at=200) is is_whole


def test_rare_words_lead_and_all_weigh() -> None:
    words = choose_words(["the", "valve", "the", "is"], {"the": 0.9, "is": 0.5}, stored=100_000, least_frequency=0.001)
    assert (words.sought, words.is_all) == (("valve",), False)
    weights = dict(words.weights)
    assert set(weights) == {"the", "valve", "is"}
    assert weights["valve"] > weights["is"] > weights["the"] > 0


def test_words_that_are_everywhere_must_come_together() -> None:
    words = choose_words(["the", "is"], {"the": 0.9, "is": 0.5}, stored=100_000, least_frequency=0.001)
    assert (set(words.sought), words.is_all) == ({"the", "is"}, True)
    few = choose_words(["the", "is"], {"the": 0.9, "is": 0.5}, stored=100, least_frequency=0.001)
    assert (set(few.sought), few.is_all) == ({"the", "is"}, False)


def test_a_question_is_known_again_whatever_the_order_of_its_filters() -> None:
    first = SearchRequest(query="a", document_ids=("x", "y"), metadata={"k": "v", "a": "b"})
    again = SearchRequest(query="a", document_ids=("y", "x", "x"), metadata={"a": "b", "k": "v"})
    assert first.key("col_1") == again.key("col_1")
    assert len({first.key("col_1"), first.key("col_2"), SearchRequest(query="a", mode=Mode.TEXT).key("col_1")}) == 3


@pytest.mark.parametrize("wrong", [[], {"a": 1}, {"": "a"}, {"a": "b" * 201}, {str(n): "" for n in range(17)}, {"a\0": "b"}])
def test_metadata_are_few_short_texts(wrong: object) -> None:
    with pytest.raises(MetadataRefusedError):
        check_metadata(wrong)
    assert check_metadata({"a": "b"}) == {"a": "b"}
