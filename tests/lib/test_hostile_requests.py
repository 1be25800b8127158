"""Requests that mean harm or make no sense get a clear refusal: never a 500, never a page of HTML."""

import json
from typing import Any

import pytest
from django.test import Client

from tests.factories.accounts import make_client
from tests.factories.files import make_file

pytestmark = pytest.mark.django_db
CALL_ROUTES = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"]
OTHER_TYPES = ["text/plain", "application/xml", "multipart/form-data; boundary=b", "application/x-www-form-urlencoded", "", "///"]
NO_JSON = [
    b"",
    b"{",
    b"\x00",
    b"\xff\xfe{}",
    b'{"a": "\xff"}',
    b'{"a": "\\ud800"}',
    b'{"a": NaN}',
    b'{"a": 1e999999}',
    b'{"a": ' + b"9" * 10_000 + b"}",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"[" * 100_000 + b"]" * 100_000,
]
NO_REQUEST = [
    b"null",
    b"[]",
    b"[{}]",
    b"1",
    b'"text"',
    b"{}",
    b'{"\\u0000": 1}',
    b'{"a":' * 900 + b"1" + b"}" * 900,
    b'{"input_file_id": null, "endpoint": [], "completion_window": {}, "model": 1, "messages": "x", "input": {}}',
    b'{"model": {}, "messages": [[]], "input_file_id": {"a": 1}, "endpoint": "/v1/chat/completions", "completion_window": "24h"}',
    b'{"model": "\\u0000", "messages": [], "input": "", "input_file_id": "\\u0000"}',
]


@pytest.fixture
def client() -> Client:
    return make_client()


def refusal(answer: Any) -> dict[str, Any]:
    """The told error of an answer in the 400s."""
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.content)
    error: dict[str, Any] = json.loads(answer.content)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert len(error["message"]) < 1000
    return error


@pytest.mark.parametrize("body", NO_JSON + NO_REQUEST, ids=range(len(NO_JSON + NO_REQUEST)))
def test_bodies_that_make_no_sense(client: Client, body: bytes) -> None:
    answer = client.generic("POST", "/v1/batches", body, content_type="application/json")
    refusal(answer)
    assert answer.status_code == 400


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("route", CALL_ROUTES)
def test_calls_that_make_no_sense(client: Client, route: str) -> None:
    """Calls read the database on threads of their own, so the key is really committed; hence one test for all bodies."""
    for body in NO_JSON + NO_REQUEST:
        for content_type in ("application/json", "text/plain"):
            answer = client.generic("POST", route, body, content_type=content_type)
            refusal(answer)
            assert answer.status_code in {400, 404}, (body[:50], answer.content)


def batch(client: Client, **values: Any) -> Any:
    request = {"input_file_id": make_file().public_id, "endpoint": "/v1/chat/completions", "completion_window": "24h"} | values
    return client.post("/v1/batches", json.dumps(request), content_type="application/json")


@pytest.mark.parametrize(
    "metadata",
    [
        {"a": "x\0"},
        {"x\0": "a"},
        {"a": "x" * 513},
        {"x" * 65: "a"},
        {str(number): "x" for number in range(17)},
        {"a": 1},
        {"a": None},
        {"a": {"b": "c"}},
        [],
        "text",
        1,
        False,
    ],
    ids=range(12),
)
def test_metadata_that_can_not_be_kept(client: Client, metadata: Any) -> None:
    error = refusal(batch(client, metadata=metadata))
    assert (error["param"] or "").startswith("metadata") or "U+0000" in error["message"]


@pytest.mark.parametrize("after", [None, {}, {"anchor": "now", "seconds": 3600}, {"anchor": "created_at"}])
@pytest.mark.parametrize("seconds", [-1, 0, 1e400, 3600.5, "3600", True, 10**30, [], {}])
def test_expiry_that_makes_no_sense(client: Client, after: Any, seconds: Any) -> None:
    answer = batch(client, output_expires_after={"anchor": "created_at"} | (after or {}) | {"seconds": seconds})
    refusal(answer)


@pytest.mark.parametrize("route", ["/v1/files", "/v1/batches"])
@pytest.mark.parametrize(
    "query",
    [
        *("limit=%00", "after=%00", "order=%00", "purpose=%00"),
        *("limit=-1&limit=0", "limit=" + "9" * 5000, "after=" + "a" * 5000, "after=%ff%fe"),
    ],
)
def test_queries_that_make_no_sense(client: Client, route: str, query: str) -> None:
    answer = client.get(f"{route}?{query}")
    if "%00" in query:
        assert "U+0000" in refusal(answer)["message"]
    else:
        assert (answer.status_code, answer.json()["data"]) == (200, [])


@pytest.mark.parametrize("content_type", [*OTHER_TYPES, "application/json; charset=klingon"])
def test_other_kinds_of_body(client: Client, content_type: str) -> None:
    answer = client.generic("POST", "/v1/batches", b"{}", content_type=content_type)
    refusal(answer)
    assert answer.status_code == (400 if content_type.startswith("application/json") else 415)


@pytest.mark.parametrize("route", [*CALL_ROUTES, "/v1/files", "/v1/files/file-1", "/v1/batches", "/v1/batches/batch_1/cancel"])
@pytest.mark.parametrize("method", ["PUT", "PATCH", "TRACE", "PROPFIND", "x" * 200])
def test_methods_that_are_not_there(client: Client, route: str, method: str) -> None:
    answer = client.generic(method, route, b"{}", content_type="application/json")
    assert answer.status_code == 405
    assert refusal(answer)["code"] == "method_not_allowed"
    assert "GET" in answer.headers["Allow"] or "POST" in answer.headers["Allow"]


@pytest.mark.parametrize("route", ["/v1/files", "/v1/batches", "/v1/files/file-1", "/v1/files/file-1/content", "/v1/models"])
@pytest.mark.parametrize(
    "accept", ["", "nonsense", "*/*;q=x", "text/html", "application/json;q=0", "\xff", "a/b," * 2000, "application/vnd.api+json", ";"]
)
def test_weird_accept_headers(client: Client, route: str, accept: str) -> None:
    answer = client.get(route, headers={"Accept": accept})
    assert answer.status_code in {200, 404, 406}
    assert answer.headers["Content-Type"] == "application/json"
    json.loads(answer.content)


@pytest.mark.parametrize(
    "authorization", ["Bearer \0", "Bearer \xff", "Bearer " + "a" * 5000, "Bearer aip-\xff\x00", "\x00", "Bearer aip-a aip-b"]
)
def test_weird_keys(authorization: str) -> None:
    for route in ("/v1/files", "/v1/chat/completions"):
        answer = Client(raise_request_exception=False).post(route, headers={"Authorization": authorization})
        assert (answer.status_code, refusal(answer)["code"]) == (401, "invalid_api_key")
