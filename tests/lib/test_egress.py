"""Egress: nothing but the public internet is asked, however an address is written and whatever a name resolves to."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from apps.lib.egress import (
    EgressAnswer,
    EgressLimits,
    EgressRefusedError,
    EgressRules,
    _open_socket,
    check_url,
    is_public,
    open_egress_session,
    post,
)
from apps.lib.ports import free_port

LIMITS = EgressLimits(connect_seconds=30, total_seconds=60, answer_bytes=1000)
OPEN = (ip_network("127.0.0.1/32"),)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class Listener:
    """A server of bytes on loopback that counts who connects."""

    def __init__(self, answer: bytes, address: str = "127.0.0.1", port: int = 0) -> None:
        self._socket = socket.create_server((address, port))
        self.port: int = self._socket.getsockname()[1]
        self.answer = answer
        self.connections = 0
        self.requests: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            # A client may go before it has had everything.
            with connection, suppress(OSError):
                self.requests.append(_whole_request(connection))
                connection.sendall(self.answer)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(60)


def _whole_request(connection: socket.socket) -> bytes:
    """Head and body, in however many pieces they come."""
    content = b""
    while not content.endswith(b"\r\n\r\n{}") and (piece := connection.recv(65536)):
        content += piece
    return content


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener(ANSWER)
    yield found
    found.close()


def resolving(*answers: list[str]) -> tuple[Callable[[str, int], Awaitable[list[str]]], list[str]]:
    """A name server that gives these answers one after the other, then the last for ever; and the names it was asked for."""
    asked: list[str] = []

    async def lookup(host: str, port: int) -> list[str]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    return lookup, asked


def ask(url: str, rules: EgressRules, *, lookup: Any = None, times: int = 1, limits: EgressLimits = LIMITS) -> list[EgressAnswer]:
    async def run() -> list[EgressAnswer]:
        async with open_egress_session(rules, lookup=lookup or resolving([])[0]) as session:
            return [await post(session, url, body=b"{}", headers={"X-Own": "1"}, rules=rules, limits=limits) for _ in range(times)]

    return asyncio.run(run())


def rules(port: int, networks: tuple[Any, ...] = ()) -> EgressRules:
    return EgressRules(ports=frozenset({port}), networks=networks, is_http_allowed=True)


# What stands in the URL. The port is the listener's: whatever reaches this machine is counted.
HOSTS = [
    # this machine
    *("127.0.0.1", "127.1.2.3", "localhost", "[::1]", "0.0.0.0", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]"),
    # IPv4 as numbers of all sorts
    *("2130706433", "0x7f000001", "0x7f.0.0.1", "0x7f.1", "017700000001", "0177.0.0.1", "127.1", "127.0.1", "0", "0x0", "127.0.0.01"),
    *("1.2.3.4.5", "256.1.1.1", "127.0.0.1.", "3232235521"),
    # private networks and links
    *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.0.1", "100.64.0.1", "100.127.255.254", "[fc00::1]"),
    *("[fd12:3456::1]", "[fe80::1]", "[fe80::1%25eth0]", "[fec0::1]"),
    # where clouds keep their secrets
    *("169.254.169.254", "[fd00:ec2::254]", "168.63.129.16", "100.100.100.200", "[::ffff:169.254.169.254]", "metadata"),
    # translators and tunnels
    *("[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::1]", "[2002:a9fe:a9fe::]", "[2002:7f00:1::1]", "192.88.99.1", "[2001:0:4136:e378::1]"),
    *("[100::1]",),
    # groups, reserved, documentation, benchmarks
    *("224.0.0.1", "239.255.255.250", "[ff02::1]", "240.0.0.1", "255.255.255.255", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.7"),
    *("203.0.113.9", "[2001:db8::1]", "[3fff::1]", "[5f00::1]"),
    # tricks of writing
    *("user@127.0.0.1", "user:password@example.com", "example.com@127.0.0.1", "127.0.0.1\\.example.com", "①②⑦.0.0.1", "ⓛocalhost"),
    *("127。0。0。1", "%6c%6f%63%61lhost", "127.0.0.1%00.example.com", "", ".", "a..b", "-a.example.com", "exa_mple.com", "[::1"),
    *("exam ple.com",),
]  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
def test_no_host_that_is_not_public_is_asked(host: str, listener: Listener) -> None:
    """Names resolve to this machine, as a hostile name server would have it."""
    (answer,) = ask(f"http://{host}:{listener.port}/hook", rules(listener.port), lookup=resolving(["127.0.0.1"])[0])
    assert answer.error.startswith("Refused: ")
    assert (answer.status, listener.connections) == (None, 0)


RESOLVED = [
    ["127.0.0.1"],
    ["::1"],
    ["10.0.0.1"],
    ["169.254.169.254"],
    ["100.64.0.1"],
    ["::ffff:127.0.0.1"],
    ["64:ff9b::7f00:1"],
    ["2002:7f00:1::"],
    ["192.88.99.1"],
    ["fe80::1%lo"],
    ["93.184.215.14", "127.0.0.1"],
    ["127.0.0.1", "93.184.215.14"],
    ["2606:2800:21f:cb07::1", "::1"],
]


@pytest.mark.parametrize("addresses", RESOLVED, ids=" ".join)
def test_a_name_is_asked_only_when_all_its_addresses_are_public(addresses: list[str], listener: Listener) -> None:
    lookup, asked = resolving(addresses)
    (answer,) = ask(f"http://hooks.example.com:{listener.port}/", rules(listener.port), lookup=lookup)
    assert answer.error == "Refused: The host is not on the public internet."
    assert (asked, listener.connections) == (["hooks.example.com"], 0)


def test_the_tables_are_long_enough() -> None:
    assert len(set(HOSTS)) >= 45


@pytest.mark.parametrize(
    "address",
    ["93.184.215.14", "1.1.1.1", "8.8.8.8", "100.128.0.1", "172.32.0.1", "192.88.98.1", "2606:4700:4700::1111", "2a00:1450:4001::1"],
)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ip_address(address))


def test_the_address_that_was_checked_is_the_one_that_is_asked(listener: Listener) -> None:
    """Rebinding: an open address first, then this machine's. The name is looked up once for each request, and each answer is checked."""
    open_one = Listener(ANSWER, "127.0.0.2", listener.port)
    lookup, asked = resolving(["127.0.0.2"], ["127.0.0.1"])
    wanted = rules(listener.port, (ip_network("127.0.0.2/32"),))
    first, second, third = ask(f"http://rebind.example.com:{listener.port}/x?y=1", wanted, lookup=lookup, times=3)
    open_one.close()
    assert (first.status, first.body) == (200, b"ok")
    assert [answer.error for answer in (second, third)] == ["Refused: The host is not on the public internet."] * 2
    assert (len(asked), open_one.connections, listener.connections) == (3, 1, 0)
    head = open_one.requests[0]
    assert head.startswith(b"POST /x?y=1 HTTP/1.1\r\n")
    assert f"Host: rebind.example.com:{listener.port}\r\n".encode() in head


def test_a_socket_is_not_even_made_for_an_address_that_is_not_public() -> None:
    with pytest.raises(EgressRefusedError):
        _open_socket(rules(80), (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 80)))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(status: int, listener: Listener) -> None:
    target = Listener(ANSWER)
    where = f"http://127.0.0.1:{target.port}/latest/meta-data/"
    listener.answer = f"HTTP/1.1 {status} Moved\r\nLocation: {where}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
    (answer,) = ask(f"http://127.0.0.1:{listener.port}/", EgressRules(frozenset({listener.port, target.port}), OPEN, is_http_allowed=True))
    target.close()
    assert (answer.status, listener.connections, target.connections) == (status, 1, 0)


def test_an_opened_network_opens_itself_alone(listener: Listener) -> None:
    assert ask(f"http://127.0.0.1:{listener.port}/", rules(listener.port, OPEN))[0].status == 200
    assert ask(f"http://127.0.0.2:{listener.port}/", rules(listener.port, OPEN))[0].error.startswith("Refused")


def test_proxies_of_the_environment_are_not_used(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{listener.port}")
    (answer,) = ask("http://10.0.0.1:81/", EgressRules(frozenset({81}), is_http_allowed=True))
    assert (answer.error, listener.connections) == ("Refused: The host is not on the public internet.", 0)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://hooks.example.com/", "must begin with https://"),
        ("ftp://hooks.example.com/", "must begin with https://"),
        ("//hooks.example.com/", "must begin with https://"),
        ("hooks.example.com", "must begin with https://"),
        ("https:///path", "must begin with https://"),
        ("https://hooks.example.com:6379/", "port must be 443 or 8443"),
        ("https://hooks.example.com:80/", "port must be"),
        ("https://hooks.example.com:0/", "port must be"),
        ("https://hooks.example.com:99999/", "not a URL"),
        ("https://hooks.example.com:x/", "not a URL"),
        ("https://hooks.example.com/#part", "'#'"),
        ("https://hooks.example.com/ü", "printable ASCII"),
        ("https://hooks.example.com/a b", "printable ASCII"),
        ("https://hooks.example.com/\n", "printable ASCII"),
        ("https://hooks.example.com/" + "a" * 2000, "at most 2000"),
        ("https://receiver/", "full name"),
    ],
)
def test_a_url_is_refused_with_the_reason(url: str, told: str) -> None:
    with pytest.raises(EgressRefusedError, match=told):
        check_url(url, EgressRules(ports=frozenset({443, 8443})))


@pytest.mark.parametrize(
    "url", ["https://hooks.example.com", "https://HOOKS.Example.com:8443/a/b?c=d%20e", "https://1.1.1.1/", "https://xn--bcher-kva.example/"]
)
def test_a_good_url_is_taken_as_it_is(url: str) -> None:
    assert check_url(url, EgressRules(ports=frozenset({443, 8443}))).scheme == "https"


# --- answers --------------------------------------------------------------------------------------------------------------


def test_of_a_long_answer_only_the_beginning_is_read(listener: Listener) -> None:
    listener.answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 100_000
    (answer,) = ask(f"http://127.0.0.1:{listener.port}/", rules(listener.port, OPEN))
    assert (answer.status, answer.body) == (200, b"x" * 1000)


def test_a_packed_answer_is_not_unpacked(listener: Listener) -> None:
    listener.answer = b"HTTP/1.1 500 No\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\nConnection: close\r\n\r\n\x1f\x8b\x08\x00"
    (answer,) = ask(f"http://127.0.0.1:{listener.port}/", rules(listener.port, OPEN))
    assert (answer.status, answer.body) == (500, b"\x1f\x8b\x08\x00")
    assert b"Accept-Encoding: identity\r\n" in listener.requests[0]


@pytest.mark.parametrize(
    ("answer", "status", "told"),
    [
        (b"", None, "The connection broke: ServerDisconnectedError"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", None, "The connection broke: "),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", 200, ""),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", None, "The connection broke: "),
    ],
)
def test_whatever_comes_is_told_and_nothing_is_raised(answer: bytes, status: int | None, told: str, listener: Listener) -> None:
    listener.answer = answer
    (found,) = ask(f"http://127.0.0.1:{listener.port}/", rules(listener.port, OPEN))
    assert found.status == status
    assert found.error.startswith(told)


def test_a_port_where_nobody_listens_is_told() -> None:
    port = free_port()
    (found,) = ask(f"http://127.0.0.1:{port}/", rules(port, OPEN))
    assert found.error == "No connection: Connection refused."


def test_a_name_that_does_not_resolve_is_told() -> None:
    async def lookup(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    (found,) = ask("https://nowhere.example.com/", EgressRules(ports=frozenset({443})), lookup=lookup)
    assert found.error == "The host's name could not be resolved."


def test_an_answer_that_never_comes_ends_with_the_total_time() -> None:
    """Nobody accepts, so the request lies in the kernel's queue; no time is measured but the limit's own."""
    silent = socket.create_server(("127.0.0.1", 0))
    port = silent.getsockname()[1]
    limits = EgressLimits(connect_seconds=10, total_seconds=1.5, answer_bytes=10)
    (found,) = ask(f"http://127.0.0.1:{port}/", rules(port, OPEN), limits=limits)
    silent.close()
    assert found.error == "No complete answer within 1.5 s."


# --- TLS ------------------------------------------------------------------------------------------------------------------


def _self_signed(folder: Path, name: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "tls.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return file


def test_tls_asks_for_the_name_and_trusts_nobody_by_address(tmp_path: Path) -> None:
    """The connection goes to the checked address, the name stays in SNI; a certificate that nobody vouches for ends it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_self_signed(tmp_path, "hooks.example.com"))
    asked_for: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked_for.append(name)
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = server.accept()
        # It is told so by TLS, or the client has hung up before that.
        with connection, pytest.raises(OSError):  # noqa: PT011 -- ssl.SSLError is one, a connection that was reset another
            context.wrap_socket(connection, server_side=True).recv(100)

    thread = threading.Thread(target=serve)
    thread.start()
    port = server.getsockname()[1]
    (found,) = ask(f"https://hooks.example.com:{port}/", rules(port, OPEN), lookup=resolving(["127.0.0.1"])[0])
    thread.join(60)
    server.close()
    assert asked_for == ["hooks.example.com"]
    assert found.error.startswith("The certificate is not good: ")
