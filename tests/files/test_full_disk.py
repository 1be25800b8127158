"""A web process that can write no more: uploads are refused with what to do and leave nothing, everything else goes on.

A limit on the length of its files stands for a disk that fills up in the middle of a write.
"""

import http.client
import io
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import openai
import psutil
import pytest
from openai import OpenAI

from apps.files.models import File, Part
from tests.factories.accounts import make_office_client
from tests.files.serving import Server
from tests.files.test_over_asgi import MEGABYTE

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def full_after(process: psutil.Process, size: int) -> Iterator[None]:
    """No file of that process grows longer than `size` bytes."""
    _, most = process.rlimit(psutil.RLIMIT_FSIZE)
    process.rlimit(psutil.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        process.rlimit(psutil.RLIMIT_FSIZE, (resource.RLIM_INFINITY if most == resource.RLIM_INFINITY else most, most))


def _assert_refused(refusal: "pytest.ExceptionInfo[openai.APIStatusError]") -> None:
    assert (refusal.value.status_code, refusal.value.code, refusal.value.type) == (503, "storage_short", "server_error")
    assert refusal.value.response.headers["Retry-After"] == "60"
    assert "Send it again later" in refusal.value.message
    assert "Errno" not in refusal.value.message


# The request is spooled before it is taken apart; what the form's head adds makes the one longer than the file in it.
@pytest.mark.parametrize("beyond", [5_000_000, 1])
def test_an_upload_that_cannot_be_written_is_refused_and_leaves_nothing(server: Server, client: OpenAI, beyond: int) -> None:
    kept = client.files.create(file=("kept", MEGABYTE), purpose="batch")
    before, key = server.stored(), {"Idempotency-Key": f"full-{beyond}"}
    content = b"y" * (6_000_000 + beyond)
    with full_after(psutil.Process(server.process.pid), 6_000_000):
        for _ in range(2):
            with pytest.raises(openai.APIStatusError) as refusal:
                client.files.create(file=("big", io.BytesIO(content)), purpose="batch", extra_headers=key)
            _assert_refused(refusal)
        server.wait_until_stored(before)
        assert [file.public_id for file in File.objects.all()] == [kept.id]
        assert client.files.content(kept.id).read() == MEGABYTE
        assert client.files.create(file=("small", b"x"), purpose="user_data").bytes == 1
    file = client.files.create(file=("big", io.BytesIO(content)), purpose="batch", extra_headers=key)
    assert client.files.content(file.id).read() == content


def test_only_the_spool_of_the_form_has_room(server: Server, client: OpenAI) -> None:
    """The body itself fits, its copy in the storage does not: REST framework and the middleware around it meet it, not the server."""
    before = server.stored()
    for headers in ({}, {"Idempotency-Key": "copy"}):
        with full_after(psutil.Process(server.process.pid), 1_000_000), pytest.raises(openai.APIStatusError) as refusal:
            client.files.create(file=("copy", b"z" * 2_000_000), purpose="batch", extra_headers=headers)
        _assert_refused(refusal)
    server.wait_until_stored(before)
    assert File.objects.count() == 0


def test_a_part_that_cannot_be_written_is_sent_again_and_the_upload_goes_on(server: Server, client: OpenAI) -> None:
    upload = client.uploads.create(bytes=8_000_000, filename="parts", mime_type="application/jsonl", purpose="batch")
    parts = [client.uploads.parts.create(upload.id, data=b"a" * 4_000_000)]
    with full_after(psutil.Process(server.process.pid), 3_000_000):
        with pytest.raises(openai.APIStatusError) as refusal:
            client.uploads.parts.create(upload.id, data=b"b" * 4_000_000)
        _assert_refused(refusal)
    assert Part.objects.count() == 1
    parts.append(client.uploads.parts.create(upload.id, data=b"b" * 4_000_000))
    before = server.stored()
    # Each part has room, the file that is made of them has not.
    with full_after(psutil.Process(server.process.pid), 5_000_000):
        with pytest.raises(openai.APIStatusError) as refusal:
            client.uploads.complete(upload.id, part_ids=[part.id for part in parts])
        _assert_refused(refusal)
    server.wait_until_stored(before)
    assert (File.objects.count(), Part.objects.count()) == (0, 2)
    done = client.uploads.complete(upload.id, part_ids=[part.id for part in parts])
    assert done.file is not None
    assert client.files.content(done.file.id).read() == b"a" * 4_000_000 + b"b" * 4_000_000


def test_a_page_of_the_back_office_says_so_too(server: Server) -> None:
    session = make_office_client().cookies["sessionid"].value
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Cookie": f"sessionid={session}"}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    with full_after(psutil.Process(server.process.pid), 1_000_000):
        connection.request("POST", "/admin/jobs/job/new/", b"x" * 4_000_000, headers)
        answer = connection.getresponse()
        page = answer.read().decode()
    assert (answer.status, answer.headers["Retry-After"]) == (503, "60")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "no room left" in page
