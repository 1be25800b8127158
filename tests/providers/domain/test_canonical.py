"""Requests that are the same have one key, and nothing else has."""

from typing import Any
from uuid import UUID

import orjson
import pytest

from apps.providers.domain.canonical import answer_key
from apps.providers.domain.policy import AnswerPolicy

CHAT = "/v1/chat/completions"
BODY = {"model": "small", "messages": [{"role": "user", "content": "hi"}], "temperature": 0.5, "seed": 7}


def key(body: bytes | dict[str, Any] = BODY, *, workspace: int = 1, endpoint: str = CHAT, **policy: Any) -> bytes:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    wanted = AnswerPolicy(**{"cache_seconds": 60} | policy)
    return answer_key(workspace_id=UUID(int=workspace), endpoint=endpoint, body=content, policy=wanted)


@pytest.mark.parametrize(
    "same",
    [
        orjson.dumps(BODY, option=orjson.OPT_INDENT_2),
        dict(reversed(BODY.items())),
        BODY | {"user": "ada"},
        BODY | {"metadata": {"feature": "x"}, "safety_identifier": "u", "store": True, "stream": False},
        orjson.dumps(BODY).replace(b"hi", rb"\u0068i"),
    ],
)
def test_the_same_request_in_other_words(same: Any) -> None:
    assert key(same) == key()


@pytest.mark.parametrize(
    "other",
    [
        BODY | {"temperature": 0.6},
        BODY | {"seed": "7"},
        BODY | {"model": "large"},
        BODY | {"n": 2},
        orjson.dumps(BODY).replace(b'"seed":7', b'"seed":9007199254740993'),
        BODY | {"messages": [{"role": "user", "content": "hi "}]},
        BODY | {"messages": [{"role": "user", "content": "hi", "name": None}]},
    ],
)
def test_another_request(other: Any) -> None:
    assert key(other) != key()


def test_large_numbers_are_told_apart() -> None:
    bodies = [orjson.dumps(BODY).replace(b'"seed":7', b'"seed":%d' % number) for number in (2**70, 2**70 + 1)]
    assert key(bodies[0]) != key(bodies[1])


def test_workspaces_endpoints_and_what_changes_answers_count() -> None:
    keys = {
        key(),
        key(workspace=2),
        key(endpoint="/v1/responses"),
        key(has_contract=True),
        key(first_model="tiny"),
        key(accept_if="schema"),
    }
    assert len(keys) == 6
    assert key(cache_seconds=5) == key(has_failover=False) == key()
