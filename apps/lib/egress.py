"""Requests to addresses that callers named: only to hosts of the public internet, however the name is written and whatever it resolves to.

Checked three times, each time what is really used next: the URL when it is entered and before each request; each address that its
name resolves to; and the address of each socket as it connects, so that a name which resolves otherwise a moment later gains nothing.
"""

import asyncio
import os
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from time import monotonic
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
# Gives the addresses of a host name.
Lookup = Callable[[str, int], Awaitable[list[str]]]

LONGEST_URL = 2000
_TEXT = re.compile(r"[\x21-\x7e]+", re.ASCII)
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
# What the system's resolver takes for an IPv4 address in octal, hex or with parts left out: 0177.0.0.1, 0x7f000001, 127.1.
_NUMBER_LIKE = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)", re.ASCII)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
# Python's is_global lets these through (NAT64 and the mapped ones lie outside of global unicast): translators and tunnels that end
# inside, documentation, and an address at which one cloud's machines find their host.
_NOT_PUBLIC = tuple(
    ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24"),
        *("192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32"),
        *("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
    )
)


class EgressRefusedError(Exception):
    """The address must not be asked; the message says why and names no address that a name resolved to."""


@dataclass(frozen=True, slots=True)
class EgressRules:
    """What may be asked. `networks` are private ones that the operator has opened; `https` alone unless said otherwise."""

    ports: frozenset[int]
    networks: tuple[Network, ...] = ()
    is_http_allowed: bool = False


@dataclass(frozen=True, slots=True)
class EgressLimits:
    """Seconds for connecting (name, TCP, TLS) and in all; bytes of the answer that are read."""

    connect_seconds: float
    total_seconds: float
    answer_bytes: int


@dataclass(frozen=True, slots=True)
class EgressAnswer:
    """What came: a status, or why there is none. A status stands even when the rest of the answer never came."""

    status: int | None
    error: str
    body: bytes
    retry_after: str
    duration_seconds: float


def check_url(text: str, rules: EgressRules) -> URL:
    """The URL as it will be asked; EgressRefusedError says what is wrong with it. Asks no name server."""
    if len(text) > LONGEST_URL or not _TEXT.fullmatch(text) or "\\" in text:
        raise EgressRefusedError(f"A URL has at most {LONGEST_URL} printable ASCII characters and no backslash.")
    try:
        url = URL(text)
        port = url.port
    except ValueError as error:
        raise EgressRefusedError("This is not a URL.") from error
    schemes = ("https", "http") if rules.is_http_allowed else ("https",)
    if url.scheme not in schemes or not url.raw_host:
        raise EgressRefusedError(f"The URL must begin with {' or '.join(f'{scheme}://' for scheme in schemes)} and a host.")
    if url.raw_user is not None or url.raw_password is not None or "@" in url.raw_authority:
        raise EgressRefusedError("The URL must not hold a user name or a password.")
    if "#" in text:
        raise EgressRefusedError("The URL must not hold a '#': what follows it is never sent.")
    if port not in rules.ports:
        raise EgressRefusedError(f"The port must be {' or '.join(map(str, sorted(rules.ports)))}.")
    _check_host(url.raw_host.lower(), rules)
    return url


def _check_host(host: str, rules: EgressRules) -> None:
    if ":" in host or _NUMBER_LIKE.fullmatch(host):
        try:
            address = ip_address(host)
        except ValueError as error:
            raise EgressRefusedError("The host is no IP address in its usual form; name the host.") from error
        check_address(address, rules)
    elif not _NAME.fullmatch(host) or len(host) > 253:
        raise EgressRefusedError("The host is no host name.")
    elif "." not in host and not rules.networks:
        raise EgressRefusedError("The host must be a full name, such as hooks.example.com.")


def is_public(address: Address) -> bool:
    """Whether this is an address of the public internet: none of a machine, a network, a provider's inside, a tunnel or a group."""
    if isinstance(address, IPv6Address) and (address not in _GLOBAL_UNICAST or address.ipv4_mapped):
        return False
    return address.is_global and not any(address.version == network.version and address in network for network in _NOT_PUBLIC)


def check_address(address: Address, rules: EgressRules) -> None:
    """EgressRefusedError unless it is public or in a network that the operator has opened."""
    is_opened = any(address.version == network.version and address in network for network in rules.networks)
    if not is_opened and not is_public(address):
        raise EgressRefusedError("The host is not on the public internet.")


async def _look_up(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class CheckedResolver(AbstractResolver):
    """Gives a name's addresses only when all of them may be asked: one private among them is how rebinding begins."""

    def __init__(self, rules: EgressRules, lookup: Lookup = _look_up) -> None:
        self._rules = rules
        self._lookup = lookup

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_UNSPEC) -> list[ResolveResult]:
        del family
        found = await self._lookup(host, port)
        addresses = [ip_address(text.partition("%")[0]) for text in found]
        for address in addresses:
            check_address(address, self._rules)
        return [
            ResolveResult(hostname=host, host=str(address), port=port, family=_family(address), proto=0, flags=socket.AI_NUMERICHOST)
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


def _family(address: Address) -> socket.AddressFamily:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def _open_socket(rules: EgressRules, address_info: tuple[Any, ...]) -> socket.socket:
    """The last look: this is the address that is connected to."""
    family, kind, protocol, _, address = address_info
    check_address(ip_address(str(address[0]).partition("%")[0]), rules)
    return socket.socket(family=family, type=kind, proto=protocol)


def open_egress_session(rules: EgressRules, *, lookup: Lookup = _look_up) -> aiohttp.ClientSession:
    """For `post` alone. No proxy from the environment, no cookies, no cache of names, no connection used twice."""
    connector = aiohttp.TCPConnector(
        resolver=CheckedResolver(rules, lookup),
        socket_factory=partial(_open_socket, rules),
        use_dns_cache=False,
        force_close=True,
        limit=0,
    )
    return aiohttp.ClientSession(connector=connector, trust_env=False, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)


async def post(
    session: aiohttp.ClientSession, url: str, *, body: bytes, headers: Mapping[str, str], rules: EgressRules, limits: EgressLimits
) -> EgressAnswer:
    """Send once and bring back whatever comes, bounded in time and bytes: no redirect is followed, and trouble is told, never raised."""
    started, answer = monotonic(), _Partial()
    error = ""
    try:
        target = check_url(url, rules)
        async with asyncio.timeout(limits.total_seconds):
            await _exchange(session, _Request(target, body, headers), limits, answer)
    except EgressRefusedError as refused:
        error = f"Refused: {refused}"
    except aiohttp.ClientConnectorDNSError:
        error = "The host's name could not be resolved."
    except aiohttp.ClientConnectorCertificateError as trouble:
        error = f"The certificate is not good: {trouble.certificate_error}"
    except aiohttp.ClientConnectorError as trouble:
        error = f"No connection: {os.strerror(trouble.os_error.errno) if trouble.os_error.errno else 'TLS failed'}."
    except aiohttp.ConnectionTimeoutError:
        error = f"No connection within {limits.connect_seconds:g} s."
    except TimeoutError:
        error = f"No complete answer within {limits.total_seconds:g} s."
    except (aiohttp.ClientError, OSError, ValueError) as trouble:
        error = f"The connection broke: {type(trouble).__name__}: {trouble}"
    return EgressAnswer(
        status=answer.status,
        error="" if answer.status is not None else error[:500],
        body=bytes(answer.body),
        retry_after=answer.retry_after,
        duration_seconds=monotonic() - started,
    )


class _Partial:
    """What has come so far, kept when the rest doesn't come."""

    __slots__ = ("body", "retry_after", "status")

    def __init__(self) -> None:
        self.status: int | None = None
        self.retry_after = ""
        self.body = bytearray()


@dataclass(frozen=True, slots=True)
class _Request:
    url: URL
    body: bytes
    headers: Mapping[str, str]


async def _exchange(session: aiohttp.ClientSession, request: _Request, limits: EgressLimits, answer: _Partial) -> None:
    connect_seconds = min(limits.connect_seconds, 0.9 * limits.total_seconds)
    timeout = aiohttp.ClientTimeout(total=None, connect=connect_seconds, sock_connect=connect_seconds)
    headers = {"Accept-Encoding": "identity"} | dict(request.headers)
    async with session.post(request.url, data=request.body, headers=headers, allow_redirects=False, timeout=timeout) as response:
        answer.status = response.status
        answer.retry_after = response.headers.get("Retry-After", "")[:100]
        async for chunk in response.content.iter_any():
            answer.body += chunk
            if len(answer.body) >= limits.answer_bytes:
                del answer.body[limits.answer_bytes :]
                return
