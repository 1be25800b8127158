"""A folder of addresses that is there for some networks only: everybody else is answered as where nothing is."""

from collections.abc import Collection
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

import structlog
from django.utils.encoding import escape_uri_path

from apps.lib.body_limit import Application, Message, Receive, Send
from apps.lib.http_errors import ASKED_PATH

log = structlog.get_logger(__name__)

# No route has it, and none may get it.
NOWHERE = "/closed-to-this-address"


class ClosedFolder:
    """ASGI: what is below `folder` (with a slash at both ends) is handed on as NOWHERE unless the client is in one of `networks`.

    So limits, headers and refusals are those of any address without a route, and say nothing of what others find there. The client is
    whom the server names: behind a proxy, whom FORWARDED_ALLOW_IPS lets it name. A client without an address is in no network.
    """

    def __init__(self, application: Application, *, folder: str, networks: Collection[IPv4Network | IPv6Network]) -> None:
        self.application = application
        self.folder = folder
        self.networks = networks

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        address = (scope.get("client") or ("",))[0]
        if scope["type"] != "http" or not self._is_below(scope) or self._is_inside(address):
            await self.application(scope, receive, send)
            return
        path = scope["path"]
        log.warning("closed_to_this_address", address=address, path=path)

        async def send_as_asked(message: Message) -> None:
            # A redirect to https repeats the path.
            if message["type"] == "http.response.start":
                asked = escape_uri_path(path).encode()
                message["headers"] = [
                    (name, value.replace(NOWHERE.encode(), asked) if name.lower() == b"location" else value)
                    for name, value in message.get("headers", ())
                ]
            await send(message)

        await self.application({**scope, "path": NOWHERE, ASKED_PATH: path}, receive, send_as_asked)

    def _is_below(self, scope: Message) -> bool:
        """Without its last slash the folder is asked for as well: the answer would be where it is."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        return f"{path}/".startswith(self.folder)

    def _is_inside(self, address: str) -> bool:
        try:
            client = ip_address(address)
        except ValueError:
            return False
        # How a socket for both families names a client of the older one.
        client = (client.ipv4_mapped or client) if isinstance(client, IPv6Address) else client
        return any(client in network for network in self.networks)
