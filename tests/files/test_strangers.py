"""What is written to the disk is taken from somebody who may come in.

A stranger's long body, or form of files, is neither written nor read to its end, declared or in chunks.
"""

import socket
from contextlib import ExitStack
from itertools import product
from uuid import uuid4

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from django_otp import DEVICE_ID_SESSION_KEY

from apps.accounts.actions import revoke_api_key
from apps.lib.embedded import wait_until
from tests.accounts.changes import give_factor
from tests.factories.accounts import make_api_key, make_office_client, make_user, make_workspace
from tests.faults import figure
from tests.files.serving import Server
from tests.files.test_over_asgi import MEGABYTE

pytestmark = pytest.mark.django_db(transaction=True)
DECLARED, CHUNKED = "Content-Length: 30000000", "Transfer-Encoding: chunked"
NEW_JOB = "/admin/jobs/job/new/"


def ask(port: int, path: str, length: str, *headers: str, megabytes: int = 6) -> bytes:
    """The answer to the first megabytes of a form that goes on."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: multipart/form-data; boundary=b", *headers, length, "", ""]
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connected:
        connected.sendall("\r\n".join(lines).encode())
        for _ in range(megabytes):
            connected.sendall(MEGABYTE if length == DECLARED else b"%x\r\n%b\r\n" % (len(MEGABYTE), MEGABYTE))
        answer = b""
        while received := connected.recv(65536):
            answer += received
        return answer


def cookie(client: Client) -> str:
    return f"Cookie: {settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"


@pytest.mark.parametrize("length", [DECLARED, CHUNKED])
@pytest.mark.parametrize("path", ["/v1/files", "/v1/uploads/upload_x/parts"])
def test_a_file_needs_a_live_key(server: Server, path: str, length: str) -> None:
    key, revoked = make_api_key()
    revoke_api_key(key_id=key.id, now=timezone.now())
    for headers in ((), (f"Authorization: Bearer {revoked}",)):
        answer = ask(server.port, path, length, *headers)
        assert answer.startswith(b"HTTP/1.1 401 "), answer
        assert b'"code":"invalid_api_key"' in answer
        assert b"connection: close" in answer
    assert server.open_files() == []


@pytest.mark.parametrize("length", [DECLARED, CHUNKED])
def test_the_page_for_a_new_job_needs_staff(server: Server, length: str) -> None:
    nobody, visitor = (), (cookie(make_office_client(make_user("guest", is_staff=False))),)
    for headers in (nobody, visitor, (f"Cookie: {settings.SESSION_COOKIE_NAME}=x",)):
        answer = ask(server.port, NEW_JOB, length, *headers)
        assert answer.startswith(b"HTTP/1.1 403 "), answer
        assert b"Nobody is signed in" in answer
    assert server.open_files() == []


@pytest.mark.parametrize("length", [DECLARED, CHUNKED])
def test_a_password_is_not_enough_for_whoever_has_a_second_factor(server: Server, length: str) -> None:
    make_workspace()
    user, other = make_user("ada", is_superuser=True), make_user("grace")
    device = give_factor(user)
    client = make_office_client(user)
    for shown in ("", "x", "accounts.authenticator/x", give_factor(other).persistent_id):
        session = client.session
        session[DEVICE_ID_SESSION_KEY] = shown
        session.save()
        answer = ask(server.port, NEW_JOB, length, cookie(client))
        assert answer.startswith(b"HTTP/1.1 403 "), answer
        assert b"Nobody is signed in" in answer
    assert server.open_files() == []
    session = client.session
    session[DEVICE_ID_SESSION_KEY] = device.persistent_id
    session.save()
    assert client.get(NEW_JOB).status_code == 200


SHORT = "Content-Length: 2000"
WRITTEN = [*(f"Content-Type: {kind}; boundary=b" for kind in ("multipart/form-data", "Multipart/Form-Data", "multipart/mixed"))]


def test_of_a_form_of_files_the_first_byte_needs_a_sender(server: Server) -> None:
    """Each is answered while its bytes are still to come: whoever reads them first waits for them.

    Of a form that says its length not one byte is sent, so that nobody has to read any to know that the sender must be asked.
    """
    paths = ["/v1/files", "/v1/uploads/upload_x/parts", "/api/documents", "/v1/chat/completions", "/nowhere", "/admin/login/", NEW_JOB]
    paths += ["/admin/", "/admin/second-factor/", f"/admin/knowledge/collection/{uuid4()}/upload/"]
    with ExitStack() as opened:
        asked = {}
        for path, kind, length in product(paths, WRITTEN, (SHORT, CHUNKED)):
            connected = opened.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=60))
            piece = b"" if length == SHORT else b"5\r\n--b\r\n\r\n"
            connected.sendall("\r\n".join([f"POST {path} HTTP/1.1", "Host: 127.0.0.1", kind, length, "", ""]).encode() + piece)
            asked[path, kind, length] = connected
        for (path, kind, length), connected in asked.items():
            wanted = b"HTTP/1.1 403 " if path.startswith("/admin/") else b"HTTP/1.1 401 "
            assert connected.recv(65536).startswith(wanted), (path, kind, length)
        assert server.open_files() == []
    figure("Forms of files of strangers", f"{len(asked)} of {len(paths)} addresses: read before the sender was asked 0")


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", "text/plain"])
def test_a_body_that_memory_does_not_hold_needs_a_sender(server: Server, kind: str) -> None:
    length = settings.FILE_UPLOAD_MAX_MEMORY_SIZE + 1
    lines = ["POST /v1/batches HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {kind}", f"Content-Length: {length}", "", ""]
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connected:
        connected.sendall("\r\n".join(lines).encode() + b"x")
        assert connected.recv(65536).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("path", ["/admin/login/", "/admin/", "/admin/jobs/job/"])
def test_no_other_page_takes_files(server: Server, path: str) -> None:
    owner = cookie(make_office_client())
    for length in (DECLARED, CHUNKED):
        answer = ask(server.port, path, length, owner)
        assert answer.startswith(b"HTTP/1.1 413 "), answer
        assert b"4 MB" in answer


@pytest.mark.parametrize("length", [f"Content-Length: {6 * len(MEGABYTE)}", CHUNKED])
def test_whoever_is_signed_in_sends_a_file(server: Server, length: str) -> None:
    """The page itself answers, that its form has no token: all of it has been taken."""
    make_workspace()
    client = make_office_client()
    lines = [f"POST {NEW_JOB} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: multipart/form-data; boundary=b", cookie(client), length]
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connected:
        connected.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        for _ in range(6):
            connected.sendall(b"%x\r\n%b\r\n" % (len(MEGABYTE), MEGABYTE) if length == CHUNKED else MEGABYTE)
        connected.sendall(b"0\r\n\r\n" if length == CHUNKED else b"")
        answer = b""
        while received := connected.recv(65536):
            answer += received
    assert answer.startswith(b"HTTP/1.1 403 "), answer
    assert b"CSRF" in answer
    assert b"Nobody is signed in" not in answer
    wait_until(lambda: server.open_files() == [], process=server.process, what="the form's end")
    assert client.get(NEW_JOB).status_code == 200
