"""Documents are cut along their structure: every piece fits, nothing is lost, and each tells where it stands."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.knowledge.domain.chunks import Piece, cut_chunks
from apps.knowledge.domain.sections import Section, join_text
from apps.lib.tokenizer import count_tokens

WORDS = ["limit", "page.", "Why?", "übergroß", "漢字。", "a" * 40, "(see 3.2)", "end!", "x", "\U0001f600", "1,024", "\n", "\n\n", "\t"]


def count_words(text: str) -> int:
    return len(text.split())


COUNTS: list[Callable[[str], int]] = [count_tokens, count_words, len]
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=60).map(" ".join)
rows = st.lists(st.lists(st.sampled_from([*WORDS[:8], ""]), min_size=1, max_size=4).map(" | ".join), min_size=1, max_size=20).map("\n".join)


@st.composite
def sections(draw: st.DrawFn) -> Section:
    kind = draw(st.sampled_from(["heading", "text", "table", "list", "code"]))
    page = draw(st.integers(1, 4))
    text = draw(rows if kind == "table" else texts)
    if kind == "table":
        return Section(text=text, kind=kind, anchor=f"sheet P, rows {page}-{page + text.count(chr(10))}")
    return Section(text=text, kind=kind, level=page if kind == "heading" else 0, anchor=f"page {page}")


@given(st.lists(sections(), max_size=8), st.integers(4, 60), st.integers(0, 3), st.sampled_from(COUNTS))
def test_every_piece_fits_and_nothing_is_lost(given: list[Section], max_tokens: int, overlap: int, count: Callable[[str], int]) -> None:
    text = join_text(given)
    pieces = cut_chunks(given, max_tokens=max_tokens, overlap_tokens=overlap, count=count)
    assert [piece.position for piece in pieces] == list(range(len(pieces)))
    covered = set()
    for piece in pieces:
        own = text[piece.start : piece.end]
        assert piece.text == own or piece.text.endswith("\n" + own)
        assert count(piece.text) <= max_tokens or piece.end - piece.start == 1
        covered.update(range(piece.start, piece.end))
    assert [text[place] for place in range(len(text)) if place not in covered and text[place].strip()] == []
    assert pieces == cut_chunks(given, max_tokens=max_tokens, overlap_tokens=overlap, count=count)


def cut(*given: Section, max_tokens: int = 20, overlap_tokens: int = 0) -> list[Piece]:
    return cut_chunks(given, max_tokens=max_tokens, overlap_tokens=overlap_tokens, count=count_words)


def heading(text: str, level: int = 1, anchor: str = "") -> Section:
    return Section(text=text, kind="heading", level=level, anchor=anchor)


def test_a_heading_begins_a_piece_and_is_carried_along() -> None:
    pieces = cut(heading("Guide"), Section("one two three four five. " * 3), heading("Limits", 2), Section("six seven eight. " * 12))
    assert [piece.heading for piece in pieces] == ["Guide", "Guide > Limits", "Guide > Limits"]
    assert [piece.text.split("\n")[0] for piece in pieces] == ["Guide", "Limits", " ".join(["six seven eight."] * 6)]


def test_a_heading_of_the_same_level_ends_the_one_before() -> None:
    body = Section("one two three four five six. " * 3)
    pieces = cut(heading("A"), heading("B", 2), body, heading("C", 2), body, heading("D"), body)
    assert [piece.heading for piece in pieces] == ["A > B", "A > C", "D"]


def test_short_sections_stand_together() -> None:
    pieces = cut(heading("A"), Section("one."), heading("B"), Section("two."))
    assert [(piece.text, piece.heading) for piece in pieces] == [("A\n\none.\n\nB\n\ntwo.", "A")]


def test_a_heading_never_ends_a_piece() -> None:
    pieces = cut(Section("word. " * 18), heading("Next"), Section("this section has its own words. " * 4))
    assert [piece.text.split()[-1] for piece in pieces] == ["word.", "words.", "words."]
    assert pieces[1].text.startswith("Next")


def test_a_table_is_cut_between_rows_with_its_header_repeated() -> None:
    table = Section("name | price\n" + "\n".join(f"thing {n} | {n}" for n in range(10)), kind="table", anchor="sheet Prices, rows 2-12")
    pieces = cut(table)
    assert [piece.text.split("\n")[0] for piece in pieces] == ["name | price"] * len(pieces)
    assert [piece.anchor for piece in pieces] == ["sheet Prices, rows 2-6", "sheet Prices, rows 7-10", "sheet Prices, rows 11-12"]
    assert [line for piece in pieces for line in piece.text.split("\n")[1:]] == [f"thing {n} | {n}" for n in range(10)]


def test_a_header_that_would_fill_half_of_each_piece_is_not_repeated() -> None:
    table = Section("name " * 11 + "\n" + "\n".join("thing | 1" for _ in range(8)), kind="table")
    assert [piece.text.count("name") for piece in cut(table)] == [11, 0]


def test_only_a_text_that_was_cut_overlaps() -> None:
    text = Section(" ".join(f"This is number {n}." for n in range(8)))
    first, second = cut(text, overlap_tokens=5)
    assert first.text.endswith("This is number 4.")
    assert second.text.startswith("This is number 4. This is number 5.")
    assert second.start < first.end
    one, two = cut(Section("one two three. " * 6), Section("four five six. " * 6), overlap_tokens=5)
    assert one.end < two.start


def test_anchors_tell_where_a_piece_begins_and_ends() -> None:
    (piece,) = cut(Section("On this page.", anchor="page 3"), Section("And on that.", anchor="page 5"))
    assert piece.anchor == "pages 3-5"
    (piece,) = cut(Section("Here.", anchor="A > B"), Section("There.", anchor="A > C"))
    assert piece.anchor == "A > B to A > C"


def test_one_word_without_end_is_cut_all_the_same() -> None:
    pieces = cut_chunks([Section("x" * 1000)], max_tokens=300, overlap_tokens=0, count=len)
    assert "".join(piece.text for piece in pieces) == "x" * 1000


def test_pieces_must_be_longer_than_what_they_share() -> None:
    with pytest.raises(ValueError, match="longer"):
        cut_chunks([], max_tokens=10, overlap_tokens=10, count=len)


def test_nothing_gives_no_pieces() -> None:
    assert cut() == []
