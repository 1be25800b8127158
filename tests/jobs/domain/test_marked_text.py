"""What an answer rests on, marked in the document's text."""

from hypothesis import given
from hypothesis import strategies as st

from apps.jobs.domain.marked_text import Mark, find_values, mark_text

TEXT = "A chair costs 1,234.50 dollars; it comes in Oak\nwood, 12 of 120."


def found(answer: object) -> list[tuple[str, str]]:
    return [(mark.key, TEXT[mark.start : mark.end]) for mark in find_values(TEXT, answer)]


def test_values_are_found_where_they_stand_as_people_write_them() -> None:
    assert found({"price": 1234.5, "wood": "oak WOOD", "count": 12}) == [("price", "1,234.50"), ("wood", "Oak\nwood"), ("count", "12")]
    assert found({"a": {"b": ["dollars"]}, "no": True, "none": None, "far": "table", "short": "A"}) == [("a.b", "dollars")]


def test_pieces_know_the_marks_that_cover_them_and_which_begin() -> None:
    pieces = mark_text("abcdef", [Mark("found", "1", 0, 4), Mark("cited", "2", 2, 6), Mark("value", "x", 2, 3), Mark("value", "x", 5, 6)])
    assert [(piece.text, piece.kind, [mark.key for mark in piece.begins]) for piece in pieces] == [
        ("ab", "found", ["1"]), ("c", "value", ["2", "x"]), ("d", "cited", []), ("e", "cited", []), ("f", "value", []),
    ]  # fmt: skip


@given(st.text(max_size=30), st.lists(st.tuples(st.integers(-2, 35), st.integers(-2, 35))))
def test_the_pieces_of_a_short_text_are_the_text(text: str, places: list[tuple[int, int]]) -> None:
    pieces = mark_text(text, [Mark("found", str(number), start, end) for number, (start, end) in enumerate(places)])
    assert "".join(piece.text for piece in pieces) == text


def test_of_a_long_text_the_neighbourhood_of_the_marks_is_shown() -> None:
    text = "".join(f"{number:06d} " for number in range(50_000))
    pieces = mark_text(text, [Mark("cited", "1", 100_000, 100_100)])
    assert sum(len(piece.text) + piece.left_out for piece in pieces) == len(text)
    assert sum(len(piece.text) for piece in pieces) < 5_000
    assert [piece.text for piece in pieces if piece.kind] == [text[100_000:100_100]]
    unmarked = mark_text(text, [])
    assert sum(len(piece.text) + piece.left_out for piece in unmarked) == len(text)
