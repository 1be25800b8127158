"""Every refusal has one shape: OpenAI's envelope under /v1, a problem elsewhere."""

import json
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404
from django.test import Client, RequestFactory
from rest_framework import exceptions

from apps.lib.http_errors import ApiError, answer_exception, as_api_error, error_response, not_found, server_error

requests = RequestFactory()


def answered(exception: Exception, path: str = "/v1/files") -> Any:
    return answer_exception(exception, {"request": requests.get(path)})


def test_the_envelope_under_v1_has_all_four_keys() -> None:
    response = answered(ApiError(400, "invalid_purpose", "Say what for.", param="purpose"))
    assert response.status_code == 400
    assert response.data == {
        "error": {"message": "Say what for.", "type": "invalid_request_error", "param": "purpose", "code": "invalid_purpose"}
    }
    assert response.content_type == "application/json"


def test_elsewhere_it_is_a_problem() -> None:
    response = answered(ApiError(409, "paused", "It is paused."), "/api/jobs/1/pause")
    assert response.data == {"type": "about:blank", "title": "Conflict", "status": 409, "detail": "It is paused.", "code": "paused"}
    assert response.content_type == "application/problem+json"


def test_a_plain_view_answers_the_same() -> None:
    error = ApiError(429, "rate_limit_exceeded", "Wait.", headers={"Retry-After": "3"})
    plain, framework = error_response("/v1/x", error), answered(error)
    assert json.loads(plain.content) == framework.data
    assert plain.headers["Retry-After"] == framework.headers["Retry-After"] == "3"
    assert plain.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("exception", "status", "code", "type_"),
    [
        (Http404(), 404, "not_found", "invalid_request_error"),
        (PermissionDenied(), 403, "permission_denied", "permission_denied"),
        (RequestDataTooBig(), 413, "request_too_large", "invalid_request_error"),
        (exceptions.NotFound("No such file."), 404, "not_found", "invalid_request_error"),
        (exceptions.MethodNotAllowed("PUT"), 405, "method_not_allowed", "invalid_request_error"),
        (exceptions.UnsupportedMediaType("text/plain"), 415, "unsupported_media_type", "invalid_request_error"),
        (exceptions.ParseError("Not JSON."), 400, "invalid_request", "invalid_request_error"),
        (exceptions.Throttled(wait=7), 429, "rate_limit_exceeded", "rate_limit_exceeded"),
        (ApiError(503, "unavailable", "Later."), 503, "unavailable", "server_error"),
    ],
)
def test_each_kind_of_refusal_has_a_status_and_a_code(exception: Exception, status: int, code: str, type_: str) -> None:
    response = answered(exception)
    assert (response.status_code, response.data["error"]["code"], response.data["error"]["type"]) == (status, code, type_)
    assert response.data["error"]["message"]


def test_a_throttled_caller_is_told_how_long_to_wait() -> None:
    assert answered(exceptions.Throttled(wait=6.2)).headers["Retry-After"] == "7"


def test_the_first_complaint_of_a_form_is_told_with_its_field() -> None:
    nested = exceptions.ValidationError({"metadata": {"run": ["Too long.", "Wrong."]}, "endpoint": ["Missing."]})
    error = answered(nested).data["error"]
    assert (error["param"], error["message"]) == ("metadata.run", "Too long.")
    whole = answered(exceptions.ValidationError({"non_field_errors": ["No."]})).data["error"]
    assert (whole["param"], whole["message"]) == (None, "No.")


def test_a_defect_is_left_to_django_which_logs_it() -> None:
    assert as_api_error(KeyError("secret")) is None
    assert answered(ZeroDivisionError()) is None


@pytest.mark.parametrize("path", ["/v1/nothing", "/api/nothing", "/nothing"])
def test_an_unknown_address_is_named(path: str) -> None:
    response = not_found(requests.get(path))
    assert response.status_code == 404
    assert f"GET {path}" in response.content.decode()


def test_a_500_tells_no_detail() -> None:
    response = server_error(requests.get("/v1/files"))
    assert response.status_code == 500
    assert json.loads(response.content)["error"]["type"] == "server_error"


@pytest.mark.parametrize("path", ["/v1/files", "/api/jobs", "/api/"])
def test_a_host_that_is_not_ours_is_refused_in_the_same_shape(path: str) -> None:
    answer = Client(headers={"Host": "elsewhere.example"}).get(path)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == ("application/json" if path.startswith("/v1") else "application/problem+json")
