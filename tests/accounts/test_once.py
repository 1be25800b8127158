"""A request that is sent twice counts once: with a key, or as a silent retry of OpenAI's package; on every POST of the API."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from apps.accounts.actions import Answer, answer_once, forget_records
from apps.accounts.domain.idempotency import KEPT, KEY_HEADER, REPLAYED_HEADER, RETRY_HEADER, Once, fingerprint_json
from apps.accounts.domain.keys import Scope
from apps.accounts.models import ApiKey, IdempotencyRecord
from apps.files.models import File, Part
from apps.jobs.models import Job
from apps.lib.ids import uuid7
from tests.crowds import all_at_once
from tests.factories.accounts import make_client, make_workspace
from tests.factories.files import make_file

pytestmark = pytest.mark.django_db


def submit(client: Client, **headers: str) -> Any:
    file = File.objects.filter(purpose="batch").first() or make_file(b'{"custom_id": "a"}\n', workspace=make_workspace())
    body = {"input_file_id": file.public_id, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    return client.post("/v1/batches", json.dumps(body), content_type="application/json", headers=headers)


def upload(client: Client, content: bytes = b"{}\n", **headers: str) -> Any:
    form = {"purpose": "batch", "file": SimpleUploadedFile("in.jsonl", content)}
    return client.post("/v1/files", form, headers=headers)


def test_the_same_key_makes_one_batch_and_answers_the_same() -> None:
    client = make_client()
    first = submit(client, **{KEY_HEADER: "order-66"})
    assert (first.status_code, first.headers.get(REPLAYED_HEADER)) == (200, None)
    for _ in range(50):
        again = submit(client, **{KEY_HEADER: "order-66"})
        assert (again.status_code, again.content, again.headers[REPLAYED_HEADER]) == (200, first.content, "true")
        assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert Job.objects.count() == 1


def test_a_key_may_be_quoted() -> None:
    client = make_client()
    assert submit(client, **{KEY_HEADER: '"k-1"'}).json()["id"] == submit(client, **{KEY_HEADER: "k-1"}).json()["id"]


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256, '""'])
def test_a_key_that_is_none_is_refused_by_name(key: str) -> None:
    answer = submit(make_client(), **{KEY_HEADER: key})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, KEY_HEADER)
    assert not Job.objects.exists()


def test_the_order_of_a_bodys_keys_does_not_matter_but_what_it_says_does() -> None:
    client, file = make_client(), make_file(b"{}\n", workspace=make_workspace())
    one = f'{{"input_file_id": "{file.public_id}", "endpoint": "/v1/embeddings", "completion_window": "24h"}}'
    two = f'{{"completion_window":"24h", "endpoint": "/v1/embeddings", "input_file_id": "{file.public_id}"}}'
    other = one.replace("embeddings", "responses")
    first, same, different = (
        client.post("/v1/batches", body, content_type="application/json", headers={KEY_HEADER: "k"}) for body in (one, two, other)
    )
    assert first.content == same.content
    assert (different.status_code, different.json()["error"]["code"]) == (422, "idempotency_key_reused")
    assert Job.objects.count() == 1


def test_another_route_and_another_workspace_are_independent() -> None:
    client = make_client()
    assert submit(client, **{KEY_HEADER: "k"}).status_code == 200
    assert upload(client, **{KEY_HEADER: "k"}).json()["object"] == "file"
    stranger = upload(make_client("other"), **{KEY_HEADER: "k"})
    assert (stranger.status_code, stranger.headers.get(REPLAYED_HEADER)) == (200, None)


def test_uploads_with_other_boundaries_are_the_same_and_other_bytes_are_not() -> None:
    client = make_client()
    first, again = (upload(client, b'{"a": 1}\n', **{KEY_HEADER: "k"}) for _ in range(2))
    assert first.json()["id"] == again.json()["id"]
    assert upload(client, b'{"a": 2}\n', **{KEY_HEADER: "k"}).status_code == 422
    assert File.objects.count() == 1


def test_a_refused_request_is_not_remembered() -> None:
    client = make_client()
    bad = client.post("/v1/batches", '{"endpoint": "/v1/x"}', content_type="application/json", headers={KEY_HEADER: "k"})
    assert bad.status_code == 400
    assert submit(client, **{KEY_HEADER: "k"}).status_code == 200


def test_a_new_keys_secret_is_replayed_but_not_readable_in_the_table() -> None:
    client = make_client()
    first, again = (
        client.post("/api/keys", '{"name": "n", "scopes": ["files"]}', content_type="application/json", headers={KEY_HEADER: "k"})
        for _ in range(2)
    )
    assert (first.status_code, again.content) == (201, first.content)
    assert ApiKey.objects.filter(name="n").count() == 1
    assert first.json()["secret"] not in IdempotencyRecord.objects.get().answer_sealed


def test_a_replay_needs_the_scope_and_a_live_key() -> None:
    submit(make_client(), **{KEY_HEADER: "k"})
    assert submit(make_client("acme", Scope.FILES), **{KEY_HEADER: "k"}).status_code == 403
    assert submit(Client(), **{KEY_HEADER: "k"}).status_code == 401


SECRETS = {
    "/api/keys": {"name": "n", "scopes": ["admin"]},
    "/api/webhooks": {"name": "n", "url": "https://hooks.example/in", "events": ["batch.completed"]},
}


@pytest.mark.parametrize("path", SECRETS)
def test_what_one_key_was_given_in_secret_is_not_told_to_another(path: str) -> None:
    body = json.dumps(SECRETS[path])
    first, other = make_client(), make_client("acme", Scope.ADMIN)
    made, again, theirs = (
        client.post(path, body, content_type="application/json", headers={KEY_HEADER: "deploy-1"}) for client in (first, first, other)
    )
    assert (made.status_code, theirs.status_code) == (201, 201), (made.content, theirs.content)
    assert (again.content, again.headers[REPLAYED_HEADER]) == (made.content, "true")
    assert REPLAYED_HEADER not in theirs.headers
    assert theirs.json()["secret"] != made.json()["secret"]
    assert theirs.json()["id"] != made.json()["id"]


def test_a_key_with_fewer_scopes_gets_its_own_refusal() -> None:
    body = json.dumps({"name": "n", "scopes": ["admin", "jobs"]})
    made, refused = (
        client.post("/api/keys", body, content_type="application/json", headers={KEY_HEADER: "deploy-1"})
        for client in (make_client(), make_client("acme", Scope.ADMIN))
    )
    assert (made.status_code, refused.status_code, refused.json()["code"]) == (201, 403, "missing_scope")
    assert made.json()["secret"] not in refused.content.decode()


def test_a_secret_that_was_recorded_for_the_whole_workspace_is_told_to_nobody_anymore() -> None:
    """As releases before kept it: whose request it answered is not known."""
    client, body = make_client(), '{"name": "n", "scopes": ["admin"]}'
    once = Once(make_workspace().id, "POST /api/keys", "key:deploy-1", fingerprint_json(body.encode()), is_guess=False, is_retry=False)
    answer_once(once, perform=lambda: Answer(201, b'{"secret": "aip-of-before"}', "application/json"), now=timezone.now())
    made = client.post("/api/keys", body, content_type="application/json", headers={KEY_HEADER: "deploy-1"})
    assert (made.status_code, made.headers.get(REPLAYED_HEADER)) == (201, None)
    assert made.json()["secret"] != "aip-of-before"


def test_the_silent_retry_of_openais_package_gets_the_original_and_a_second_order_does_not() -> None:
    client = make_client()
    first = submit(client, **{RETRY_HEADER: "0"})
    retried = submit(client, **{RETRY_HEADER: "1"})
    assert (retried.content, retried.headers[REPLAYED_HEADER]) == (first.content, "true")
    ordered_again = submit(client, **{RETRY_HEADER: "0"})
    assert ordered_again.json()["id"] != first.json()["id"]
    assert submit(client, **{RETRY_HEADER: "2"}).json()["id"] == ordered_again.json()["id"]
    assert Job.objects.count() == 2


def test_anothers_request_is_not_taken_for_the_original_of_a_retry() -> None:
    """Two programs of one workspace order the same; that one's request got lost on its way must not cost it its batch."""
    one, other = make_client(), make_client()
    first = submit(one, **{RETRY_HEADER: "0"})
    retried = submit(other, **{RETRY_HEADER: "1"})
    assert (retried.status_code, REPLAYED_HEADER in retried.headers) == (200, False)
    assert retried.json()["id"] != first.json()["id"]


def test_a_retry_long_after_or_without_an_original_is_a_new_request() -> None:
    client = make_client()
    assert submit(client, **{RETRY_HEADER: "1"}).status_code == 200
    IdempotencyRecord.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert REPLAYED_HEADER not in submit(client, **{RETRY_HEADER: "1"}).headers
    assert Job.objects.count() == 2


def test_a_key_can_be_used_anew_after_its_days_and_old_records_go() -> None:
    client = make_client()
    submit(client, **{KEY_HEADER: "k"})
    assert forget_records(now=timezone.now() + KEPT - timedelta(minutes=1)) == 0
    IdempotencyRecord.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert REPLAYED_HEADER not in submit(client, **{KEY_HEADER: "k"}).headers
    assert IdempotencyRecord.objects.count() == 1
    assert forget_records(now=timezone.now() + KEPT + timedelta(minutes=1)) == 1


def test_parts_and_completion_of_an_upload_count_once() -> None:
    client = make_client()
    values = {"bytes": 3, "filename": "a.jsonl", "mime_type": "text/plain", "purpose": "batch"}
    post = {"content_type": "application/json"}
    begun = [client.post("/v1/uploads", json.dumps(values), **post, headers={KEY_HEADER: "u"}).json()["id"] for _ in range(2)]
    assert begun[0] == begun[1]
    parts = [
        client.post(f"/v1/uploads/{begun[0]}/parts", {"data": SimpleUploadedFile("d", b"{}\n")}, headers={KEY_HEADER: "p"}).json()["id"]
        for _ in range(2)
    ]
    assert (parts[0] == parts[1], Part.objects.count()) == (True, 1)
    done = [
        client.post(f"/v1/uploads/{begun[0]}/complete", json.dumps({"part_ids": parts[:1]}), **post, headers={KEY_HEADER: "c"}).json()
        for _ in range(2)
    ]
    assert done[0]["file"]["id"] == done[1]["file"]["id"]
    assert File.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_hundred_at_once_make_one_batch() -> None:
    client, file = make_client(), make_file(b"{}\n", workspace=make_workspace())
    body = json.dumps({"input_file_id": file.public_id, "endpoint": "/v1/chat/completions", "completion_window": "24h"})
    answers: list[Any] = []

    def ask() -> None:
        for _ in range(5):
            answer = client.post("/v1/batches", body, content_type="application/json", headers={KEY_HEADER: "k"})
            answers.append(answer)

    all_at_once(20, ask)
    assert len(answers) == 100
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert all(answer.headers["Retry-After"] == "1" for answer in answers if answer.status_code == 409)
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 200}) == 1
    assert Job.objects.count() == 1


def test_what_fails_midway_leaves_neither_work_nor_record(settings: Any) -> None:
    client, keys = make_client(), settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = {}  # the answer can't be sealed: the batch has been written by then
    assert submit(client, **{KEY_HEADER: "k"}).status_code == 500
    settings.ENCRYPTION_KEYS = keys
    assert (Job.objects.count(), IdempotencyRecord.objects.count()) == (0, 0)
    assert submit(client, **{KEY_HEADER: str(uuid7())}).status_code == 200
