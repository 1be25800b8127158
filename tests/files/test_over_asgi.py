"""Files through the real server, as the official SDK and rude clients meet it."""

import hashlib
import io
import os
import socket

import openai
import psutil
import pytest
from openai import OpenAI

from apps.files.models import File
from apps.lib.embedded import wait_until
from tests.factories.accounts import make_workspace
from tests.factories.files import make_file
from tests.files.serving import Server

pytestmark = pytest.mark.django_db(transaction=True)
MEGABYTE = b"x" * 1_000_000


def test_a_files_life_as_the_sdk_sees_it(server: Server, client: OpenAI) -> None:
    content = os.urandom(3_000_000)
    file = client.files.create(file=("ü.jsonl", content), purpose="batch", expires_after={"anchor": "created_at", "seconds": 3600})
    assert (file.bytes, file.filename, file.purpose, file.status) == (3_000_000, "ü.jsonl", "batch", "processed")
    assert file.expires_at == file.created_at + 3600
    assert client.files.wait_for_processing(file.id) == client.files.retrieve(file.id) == file
    assert client.files.content(file.id).read() == content
    more = [client.files.create(file=(f"{number}", b"x"), purpose="user_data") for number in range(3)]
    assert [found.id for found in client.files.list(limit=2)] == [found.id for found in (*more[::-1], file)]
    assert [found.id for found in client.files.list(purpose="batch", order="asc")] == [file.id]
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError) as gone:
        client.files.content(file.id)
    assert (gone.value.code, (gone.value.request_id or "")[:4]) == ("not_found", "req_")
    assert len(server.stored()) == 3


def test_the_sdks_own_errors_come_out(server: Server, client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as wrong:
        client.files.create(file=("a", b"x"), purpose="party")  # type: ignore[arg-type]  # the mistake under test
    assert (wrong.value.code, wrong.value.param) == ("invalid_purpose", "purpose")
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="sk-foreign").files.list()
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(make_file(workspace=make_workspace("theirs")).public_id)


def test_memory_stays_flat_while_files_pass(server: Server, client: OpenAI) -> None:
    client.files.content(client.files.create(file=("warm", MEGABYTE), purpose="batch").id).read()
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    content = MEGABYTE * 38
    for _ in range(3):
        file = client.files.create(file=("big", content), purpose="batch")
        assert hashlib.sha256(client.files.content(file.id).read()).digest() == hashlib.sha256(content).digest()
    assert process.memory_info().rss - before < len(content) / 2


def _chunked(port: int, secret: str, megabytes: int) -> bytes:
    """An upload that does not say how long it is; the whole answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connected:
        connected.sendall(_head(secret, "Transfer-Encoding: chunked"))
        for piece in [_FORM, *[MEGABYTE] * megabytes, b""]:
            connected.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        answer = b""
        while received := connected.recv(65536):
            answer += received
            if b"}}" in answer:
                break
        return answer


_FORM = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'


def _head(secret: str, length: str) -> bytes:
    lines = [
        "POST /v1/files HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {secret}",
        "Content-Type: multipart/form-data; boundary=b",
    ]
    return "\r\n".join([*lines, length, "", ""]).encode()


def test_a_file_that_is_too_large_is_refused_so_that_the_client_sees_it(server: Server, client: OpenAI, secret: str) -> None:
    before = server.stored()
    with pytest.raises(openai.APIStatusError) as refused:
        client.files.create(file=("big", io.BytesIO(MEGABYTE * 50)), purpose="batch")
    assert (refused.value.status_code, refused.value.code) == (413, "request_too_large")
    assert (refused.value.request_id or "").startswith("req_")
    answer = _chunked(server.port, secret, 50)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"request_too_large"' in answer
    server.wait_until_stored(before)
    assert not File.objects.exists()


def test_a_client_that_goes_in_mid_upload_leaves_nothing(server: Server, secret: str) -> None:
    before = server.stored()
    with socket.create_connection(("127.0.0.1", server.port)) as connected:
        connected.sendall(_head(secret, "Content-Length: 30000000") + _FORM + MEGABYTE * 10)
    server.wait_until_stored(before)
    assert not File.objects.exists()


def test_a_client_that_goes_in_mid_download_leaves_no_file_open(server: Server, client: OpenAI) -> None:
    with client.files.with_streaming_response.content(client.files.create(file=("big", MEGABYTE * 30), purpose="batch").id) as response:
        next(response.iter_bytes(1000))
    wait_until(lambda: server.open_files() == [], process=server.process, what="the download's end")
    assert client.files.list().data
