"""Tokens of a text are counted, however long it is."""

import pytest

from apps.lib.tokenizer import count_tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("<|endoftext|>", 7), ("\u00e9" * 250_000, 250_000), ("word " * 240_000, 240_001), ("\U00012000" * 60_000, 240_000)],
    ids=["nothing", "control token", "200,000 tokens", "1,000,000 characters", "four bytes each"],
)
def test_a_text_of_any_length_is_counted(text: str, tokens: int) -> None:
    found = count_tokens(text)
    # A long one is counted in parts, and a word that stands at the border is counted twice.
    assert tokens <= found <= tokens + len(text) // 50_000
