"""Which version of a prompt a request was made from: what its caller says, wherever OpenAI's shapes have room for it."""

from typing import Any

import pytest

from apps.jobs.domain.prompt_version import PromptVersionRefusedError, prompt_version_of


@pytest.mark.parametrize(
    ("body", "default", "expected"),
    [
        ({}, "", ""),
        ({}, "greeting-3", "greeting-3"),
        ({"metadata": {"prompt_version": "mine-4"}}, "greeting-3", "mine-4"),
        ({"metadata": {"prompt_version": ""}}, "greeting-3", "greeting-3"),
        ({"metadata": None}, "greeting-3", "greeting-3"),
        ({"prompt": {"id": "pmpt_1", "version": "3"}}, "", "pmpt_1:3"),
        ({"prompt": {"id": "pmpt_1"}}, "", "pmpt_1"),
        ({"prompt": {"id": "pmpt_1", "version": 3}}, "", "pmpt_1"),
        ({"prompt": {"id": "pmpt_1"}}, "greeting-3", "greeting-3"),
        ({"prompt": {"id": "p" * 99}}, "", "p" * 64),
        ({"prompt": {"id": 5}}, "", ""),
        ({"prompt": "Continue this text"}, "", ""),
    ],
)
def test_what_is_said_nearest_to_the_request_wins(body: dict[str, Any], default: str, expected: str) -> None:
    assert prompt_version_of(body, default) == expected


@pytest.mark.parametrize("said", ["x" * 65, 3, ["a"], {"id": "a"}, True])
def test_what_is_no_short_text_is_refused(said: object) -> None:
    with pytest.raises(PromptVersionRefusedError, match="64 characters"):
        prompt_version_of({"metadata": {"prompt_version": said}}, "")
