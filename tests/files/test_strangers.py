"""Long bodies are taken from somebody who may come in: a stranger's is neither spooled nor read to its end, declared or in chunks."""

import socket

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from django_otp import DEVICE_ID_SESSION_KEY

from apps.accounts.actions import revoke_api_key
from apps.lib.embedded import wait_until
from tests.accounts.changes import give_factor
from tests.factories.accounts import make_api_key, make_office_client, make_user, make_workspace
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
