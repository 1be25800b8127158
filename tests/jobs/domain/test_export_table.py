"""Downloads hold no formulas, and the answer's text instead of its JSON."""

import pytest

from apps.jobs.domain.export_table import answer_columns, answer_text, plain_cell, workbook_cell


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "-_1"])
def test_what_begins_like_a_formula_is_made_plain(text: str) -> None:
    assert plain_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "a=b", "-5", "+1.5", "-1e3", "Ann"])
def test_other_texts_and_numbers_stay(text: str) -> None:
    assert plain_cell(text) == text


def test_a_workbooks_cell_has_a_longest_text_and_no_control_characters() -> None:
    assert workbook_cell("a\x00b\x0bc\nd") == "abc\nd"
    assert len(workbook_cell("x" * 40_000)) == 32_767


def test_answer_columns_make_room_for_those_that_are_taken() -> None:
    assert answer_columns(["answer", "answer 2", "error"])[:3] == ["answer 3", "status", "error 2"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, ""),
        (b'{"choices": [{"message": {"content": "Hello"}}]}', "Hello"),
        (b'{"choices": [{"text": "Hello"}]}', "Hello"),
        (b'{"output": [{"type": "reasoning"}, {"content": [{"type": "output_text", "text": "Hel"}, {"text": "lo"}]}]}', "Hel\nlo"),
        (b'{"choices": [{"message": {"content": null, "tool_calls": []}}]}', '{"choices":[{"message":{"content":null,"tool_calls":[]}}]}'),
        (b'{"data": [1]}', '{"data":[1]}'),
        (b"no json", "no json"),
    ],
)
def test_answer_text(content: bytes | None, text: str) -> None:
    assert answer_text(content) == text
