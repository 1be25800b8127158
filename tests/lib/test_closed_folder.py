"""Who is in none of the networks meets another address in place of the folder; everybody else, and every other address, goes through."""

from collections.abc import MutableMapping
from ipaddress import ip_network
from typing import Any

import pytest
from django.urls import Resolver404, resolve

from apps.lib.closed_folder import NOWHERE, ClosedFolder
from apps.lib.http_errors import ASKED_PATH

NETWORKS = [ip_network("10.1.0.0/16"), ip_network("192.0.2.7"), ip_network("2001:db8::/32")]
INSIDE = ["10.1.255.3", "192.0.2.7", "2001:db8:1::1", "::ffff:10.1.0.9"]
OUTSIDE = ["10.2.0.1", "192.0.2.8", "2001:db9::1", "::ffff:10.2.0.1", "127.0.0.1", "", "no address"]
BELOW = ["/desk", "/desk/", "/desk/jobs/job/", "/desk//x"]
ELSEWHERE = ["/", "/desks/", "/v1/files", "/x/desk/", "//desk/", "/Desk/"]


async def seen(path: str, address: str | None, **more: Any) -> MutableMapping[str, Any]:
    """The scope that the application behind it gets; it answers with a redirect to the same path, which must come out as it was asked."""
    found: list[MutableMapping[str, Any]] = []
    sent: list[MutableMapping[str, Any]] = []

    async def application(scope: MutableMapping[str, Any], _receive: Any, send: Any) -> None:
        found.append(scope)
        headers = [(b"Location", f"https://here{scope['path']}?q=1".encode()), (b"x-other", NOWHERE.encode())]
        await send({"type": "http.response.start", "status": 301, "headers": headers})

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    client = None if address is None else (address, 1)
    scope = {"type": "http", "path": path, "client": client, "headers": []} | more
    await ClosedFolder(application, folder="/desk/", networks=NETWORKS)(scope, receive, send)
    assert sent[0]["headers"] == [(b"Location", f"https://here{path}?q=1".encode()), (b"x-other", NOWHERE.encode())]
    return found[0]


@pytest.mark.parametrize("path", BELOW)
async def test_the_folder_is_there_for_its_networks_alone(path: str) -> None:
    assert [(await seen(path, address))["path"] for address in INSIDE] == [path] * len(INSIDE)
    for address in (*OUTSIDE, None):
        scope = await seen(path, address)
        assert (scope["path"], scope[ASKED_PATH]) == (NOWHERE, path), address


@pytest.mark.parametrize("path", ELSEWHERE)
async def test_every_other_address_is_there_for_all(path: str) -> None:
    assert [(await seen(path, address))["path"] for address in (*INSIDE, *OUTSIDE, None)] == [path] * 12


async def test_a_prefix_of_the_server_does_not_open_it() -> None:
    assert (await seen("/below/desk/", "10.2.0.1", root_path="/below"))["path"] == NOWHERE


async def test_what_is_no_request_goes_through() -> None:
    told: list[str] = []

    async def application(scope: MutableMapping[str, Any], _receive: Any, _send: Any) -> None:
        told.append(scope["type"])

    async def nothing() -> MutableMapping[str, Any]:
        return {}

    async def nobody(_message: MutableMapping[str, Any]) -> None:
        return None

    await ClosedFolder(application, folder="/desk/", networks=NETWORKS)({"type": "lifespan"}, nothing, nobody)
    assert told == ["lifespan"]


def test_nothing_is_where_nothing_shall_be() -> None:
    for path in (NOWHERE, f"{NOWHERE}/"):
        with pytest.raises(Resolver404):
            resolve(path)
