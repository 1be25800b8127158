"""What is taken out of an answer before anything reads it: our key, and nothing that only stands in a key's place."""

from datetime import UTC, datetime

import pytest

from apps.providers.domain.answers import WireAnswer

ANSWER = WireAnswer(sent_at=datetime(2026, 11, 1, tzinfo=UTC), duration_seconds=1.0, status=401)


def test_a_key_that_is_repeated_is_taken_out_everywhere() -> None:
    key = "sk-proj-0123456789abcdef"
    told = WireAnswer(
        sent_at=ANSWER.sent_at, duration_seconds=1.0, body=f'{{"error": "no such key: {key}"}}'.encode(), headers={"x-key": key}, error=key
    ).without(key)
    assert key not in told.body.decode() + told.error + told.headers["x-key"]
    assert told.body.startswith(b'{"error": "no such key: ')


@pytest.mark.parametrize("word", ["", "EMPTY", "lm-studio", "not-needed", "placeholder", "sk-no-key-required", "12345678901234"])
def test_words_in_a_keys_place_stay_in_what_a_model_says(word: str) -> None:
    answer = WireAnswer(sent_at=ANSWER.sent_at, duration_seconds=1.0, body=f'{{"content": "api_key=\\"{word}\\""}}'.encode(), error=word)
    assert answer.without(word) is answer
