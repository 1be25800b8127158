"""Lines of output and error files, in the shapes that readers of the OpenAI API expect."""

import json
from typing import Any
from uuid import UUID

import pytest

from apps.jobs.domain.result_lines import EndedItem, result_line

ITEM, RUN = UUID(int=10), UUID(int=11)


def line(**values: Any) -> bytes:
    defaults: dict[str, Any] = {"status_code": None, "error_code": "", "error_message": "", "answer": None, "run_id": RUN}
    return result_line(EndedItem(item_id=ITEM, custom_id='a"\u2028é', **(defaults | values)))


def test_result_line_of_an_answer_holds_its_bytes() -> None:
    answer = b'{"id":"x","big":123456789012345678901234567890,"t":1.0}'
    raw = line(state="done", status_code=200, answer=answer)
    assert answer in raw
    assert raw.endswith(b"}\n")
    assert json.loads(raw) == {
        "id": f"batch_req_{ITEM.hex}",
        "custom_id": 'a"\u2028é',
        "response": {"status_code": 200, "request_id": f"req_{RUN.hex}", "body": json.loads(answer)},
        "error": None,
    }


def test_result_line_says_who_served_it_beside_the_answer() -> None:
    response = json.loads(line(state="done", status_code=200, answer=b"{}", served_by='a "b"/gpt'))["response"]
    assert response == {"status_code": 200, "request_id": f"req_{RUN.hex}", "served_by": 'a "b"/gpt', "body": {}}


def test_result_line_of_a_pretty_answer_is_one_line() -> None:
    raw = line(state="done", status_code=200, answer=b'{\r\n  "text": "a\\nb"\n}\n')
    assert raw.count(b"\n") == 1
    assert json.loads(raw)["response"]["body"] == {"text": "a\nb"}


def test_result_line_of_an_http_failure_keeps_the_providers_words() -> None:
    error = {"message": "too long", "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}
    told = json.loads(line(state="dead", status_code=400, error_code="x", error_message="y", answer=json.dumps({"error": error}).encode()))
    assert told["error"] is None
    assert told["response"] == {"status_code": 400, "request_id": f"req_{RUN.hex}", "body": {"error": error}}


@pytest.mark.parametrize("answer", [None, b"", b"<html>", b'"text"', b'{"error": "text"}'])
def test_result_line_of_an_unreadable_http_failure_says_it_in_our_words(answer: bytes | None) -> None:
    told = json.loads(line(state="dead", status_code=502, error_code="bad_gateway", error_message="no answer", answer=answer))
    assert told["response"]["body"] == {"error": {"message": "no answer", "type": "server_error", "param": None, "code": "bad_gateway"}}


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"state": "cancelled"}, "batch_cancelled"),
        ({"state": "expired"}, "batch_expired"),
        ({"state": "dead", "error_code": "poison"}, "poison"),
        ({"state": "dead"}, "request_failed"),
        ({"state": "dead", "status_code": 200, "error_code": "request_timeout"}, "request_timeout"),
        ({"state": "done", "status_code": 200}, "answer_expired"),
    ],
)
def test_result_line_of_what_never_came_to_an_answer_has_a_top_level_error(values: dict[str, Any], code: str) -> None:
    told = json.loads(line(**values))
    assert told["response"] is None
    assert told["error"]["code"] == code
    assert told["error"]["message"]
