"""Answers of an upload are lost on the way: OpenAI's package repeats by itself, and everything has happened once."""

import hashlib
import io
from collections import Counter
from collections.abc import Iterator

import httpx2
import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from openai import OpenAI
from pytest_django.live_server_helper import LiveServer

from apps.accounts.actions import create_api_key
from apps.accounts.domain.idempotency import KEY_HEADER, REPLAYED_HEADER, RETRY_HEADER
from apps.files.models import File, Part, Upload
from apps.files.queries import open_file
from tests.factories.accounts import make_client, make_workspace

LINES = b'{"custom_id": "a"}\n' * 3
PARTS = [LINES[:20], LINES[20:40], LINES[40:]]


class LossyTransport(httpx2.HTTPTransport):
    """Every request is done, and the first answer to each POST is lost on the way back."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: Counter[str] = Counter()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = super().handle_request(request)
        if request.method == "POST" and request.headers[RETRY_HEADER] == "0":
            answer.read()
            self.sent[request.url.path.rpartition("/")[2]] += 1
            message = "the answer is lost"
            raise httpx2.ReadError(message, request=request)
        return answer


@pytest.fixture
def transport() -> LossyTransport:
    return LossyTransport()


@pytest.fixture
def client(live_server: LiveServer, transport: LossyTransport, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAI]:
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.0)
    key = create_api_key(workspace_id=make_workspace().id, name="sdk")
    with OpenAI(base_url=f"{live_server.url}/v1", api_key=key.secret, http_client=httpx2.Client(transport=transport)) as sdk:
        yield sdk


def stored_files() -> int:
    return sum(len(default_storage.listdir(folder)[1]) for folder in default_storage.listdir("")[0])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("idempotency_key", [None, "mine"])
def test_each_step_of_an_upload_whose_answer_is_lost_happens_once(
    client: OpenAI, transport: LossyTransport, idempotency_key: str | None
) -> None:
    def own(step: str) -> dict[str, str]:
        return {KEY_HEADER: f"{idempotency_key}-{step}"} if idempotency_key else {}

    upload = client.uploads.create(bytes=len(LINES), filename="in.jsonl", mime_type="text/jsonl", purpose="batch", extra_headers=own("u"))
    parts = [
        client.uploads.parts.create(upload.id, data=io.BytesIO(content), extra_headers=own(f"p{number}")).id
        for number, content in enumerate(PARTS)
    ]
    assert Part.objects.filter(upload_id=Upload.objects.get().id).count() == len(set(parts)) == 3
    assert stored_files() == 3
    done = client.uploads.complete(upload.id, part_ids=parts, md5=hashlib.md5(LINES).hexdigest(), extra_headers=own("c"))
    assert done.status == "completed"
    assert transport.sent == {"uploads": 1, "parts": 3, "complete": 1}
    file = File.objects.get()
    assert done.file is not None
    assert done.file.id == file.public_id
    with open_file(file.id) as stream:
        assert stream.read() == LINES
    assert (Upload.objects.count(), stored_files()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_a_file_whose_answer_is_lost_is_there_once(client: OpenAI, transport: LossyTransport) -> None:
    made = client.files.create(file=("in.jsonl", LINES), purpose="batch")
    assert transport.sent == {"files": 1}
    assert (File.objects.get().public_id, stored_files()) == (made.id, 1)


@pytest.mark.django_db
def test_parts_with_the_same_bytes_are_different_parts_unless_one_is_a_retry() -> None:
    client = make_client()
    values = '{"bytes": 40, "filename": "a.jsonl", "mime_type": "text/plain", "purpose": "batch"}'
    upload = client.post("/v1/uploads", values, content_type="application/json").json()["id"]

    def send(**headers: str) -> tuple[str, str | None]:
        answer = client.post(f"/v1/uploads/{upload}/parts", {"data": SimpleUploadedFile("d", PARTS[0])}, headers=headers)
        return answer.json()["id"], answer.headers.get(REPLAYED_HEADER)

    (first, _), (second, replayed) = send(**{RETRY_HEADER: "0"}), send(**{RETRY_HEADER: "0"})
    assert (first == second, replayed) == (False, None)
    assert send(**{RETRY_HEADER: "1"}) == (second, "true")
    assert Part.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_part_after_the_end_is_refused_for_good_and_completion_is_answered_as_it_is() -> None:
    client = make_client()
    values = '{"bytes": 20, "filename": "a.jsonl", "mime_type": "text/plain", "purpose": "batch"}'
    json = {"content_type": "application/json"}
    upload = client.post("/v1/uploads", values, **json).json()["id"]
    part = client.post(f"/v1/uploads/{upload}/parts", {"data": SimpleUploadedFile("d", b'{"custom_id": "abc"}')}).json()["id"]
    answers = [client.post(f"/v1/uploads/{upload}/complete", f'{{"part_ids": ["{part}"]}}', **json) for _ in range(2)]
    assert answers[0].status_code == 200
    assert answers[0].content == answers[1].content
    late = client.post(f"/v1/uploads/{upload}/parts", {"data": SimpleUploadedFile("d", b"x")})
    assert (late.status_code, late.headers["x-should-retry"]) == (409, "false")
    assert stored_files() == File.objects.count() == 1
