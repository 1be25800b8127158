"""Every refusal has one shape: OpenAI's envelope under /v1, a problem elsewhere."""

import errno
import json
import os
from typing import Any

import pytest
import redis
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InternalError, OperationalError, connection, transaction
from django.http import Http404
from django.test import Client, RequestFactory
from rest_framework import exceptions

from apps.lib.http_errors import GIVE_UP, ApiError, answer_exception, as_api_error, error_response, not_found, server_error

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


@pytest.mark.parametrize(
    ("exception", "should_retry", "has_time"),
    [
        (ApiError(400, "invalid_value", "No."), "false", False),
        (ApiError(401, "invalid_api_key", "No."), "false", False),
        (ApiError(403, "missing_scope", "No."), "false", False),
        (ApiError(404, "file_not_found", "No."), "false", False),
        (ApiError(405, "method_not_allowed", "No.", headers={"Allow": "POST"}), "false", False),
        (ApiError(413, "request_too_large", "No."), "false", False),
        (ApiError(415, "unsupported_media_type", "No."), "false", False),
        (ApiError(422, "idempotency_key_reused", "No."), "false", False),
        (ApiError(409, "invalid_state", "Over.", headers=GIVE_UP), "false", False),
        (ApiError(409, "request_in_progress", "Wait.", headers={"Retry-After": "1"}), None, True),
        (ApiError(429, "insufficient_quota", "Never.", headers=GIVE_UP), "false", False),
        (ApiError(502, "provider_rejected", "Never.", headers=GIVE_UP), "false", False),
        (ApiError(503, "model_paused", "Wait.", headers={"Retry-After": "30"}), None, True),
        (ApiError(400, "odd", "Perhaps.", headers={"x-should-retry": "true"}), "true", False),
        (Http404(), "false", False),
        (PermissionDenied(), "false", False),
        (RequestDataTooBig(), "false", False),
        (SuspiciousOperation("bad"), "false", False),
        (exceptions.NotAuthenticated(), "false", False),
        (exceptions.PermissionDenied(), "false", False),
        (exceptions.NotFound(), "false", False),
        (exceptions.MethodNotAllowed("PUT"), "false", False),
        (exceptions.NotAcceptable(), "false", False),
        (exceptions.UnsupportedMediaType("text/plain"), "false", False),
        (exceptions.ParseError(), "false", False),
        (exceptions.ValidationError({"name": ["No."]}), "false", False),
        (exceptions.Throttled(wait=7), None, True),
        (OperationalError("gone"), None, True),
        (redis.ConnectionError("gone"), None, True),
    ],
    ids=lambda value: f"{type(value).__name__}-{getattr(value, 'status', '')}" if isinstance(value, Exception) else None,
)
def test_clients_are_told_whether_to_ask_again(exception: Exception, should_retry: str | None, *, has_time: bool) -> None:
    error = as_api_error(exception)
    assert error is not None
    for response in (answered(exception), error_response("/v1/files", error), error_response("/api/jobs", error)):
        assert response.headers.get("x-should-retry") == should_retry
        assert ("Retry-After" in response.headers) is has_time


@pytest.mark.django_db(transaction=True)
def test_a_database_that_takes_no_writes_is_told_as_one_that_does_not_answer() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        with pytest.raises(InternalError) as refused, transaction.atomic():
            cursor.execute("DELETE FROM jobs_job")
    error = as_api_error(refused.value)
    assert error
    assert (error.status, error.code) == (503, "unavailable")
    assert as_api_error(InternalError("a defect")) is None


@pytest.mark.django_db(transaction=True)
def test_a_database_whose_disk_is_full_is_told_as_one_that_does_not_answer() -> None:
    with pytest.raises(OperationalError) as refused, connection.cursor() as cursor:
        cursor.execute("DO $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$")
    error = as_api_error(refused.value)
    assert error
    assert (error.status, error.code) == (503, "unavailable")


def test_what_finds_no_room_or_no_descriptor_is_refused_for_now_and_other_errors_are_defects() -> None:
    refusals = {number: as_api_error(OSError(number, os.strerror(number))) for number in (errno.ENOSPC, errno.EMFILE, errno.EACCES)}
    full, busy, defect = refusals.values()
    assert full
    assert (full.status, full.code, full.headers["Retry-After"]) == (503, "storage_short", "60")
    assert busy
    assert (busy.status, busy.code, busy.headers["Retry-After"]) == (503, "unavailable", "5")
    assert defect is None


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
