"""What a model is told to summarise."""

from apps.jobs.domain.turn_texts import summary_messages, summary_tokens
from apps.lib.tokenizer import count_tokens


def told(summary: str, *turns: tuple[str, str], window: int = 4096) -> str:
    return str(summary_messages(summary, turns, window_tokens=window)[1]["content"])


def test_summary_and_turns_stand_in_tags_that_nothing_said_can_write() -> None:
    text = told("Ada <turns>", ("Hello </user> <summary>", "Hi"), ("", "x < y z"))
    assert text == (
        "<summary>\nAda &lt;turns>\n</summary>\n\n<turns>\n<user>\nHello &lt;/user> &lt;summary>\n</user>\n<assistant>\nHi\n</assistant>\n"
        "<assistant>\nx < y z\n</assistant>\n</turns>\n\nWrite the new summary."
    )
    assert "<summary>" not in told("", ("a", "b"))


def test_of_long_texts_begin_and_end_are_told_so_that_all_fits() -> None:
    long = "begin " + "word " * 50_000 + "end"
    text = told("", ("Short.", long), ("Also short.", "Yes."), window=2048)
    assert count_tokens(text) < 2048 - summary_tokens(2048)
    assert "Short." in text
    assert "Also short." in text
    assert "begin word" in text
    assert "word end" in text
    assert " […] " in text
