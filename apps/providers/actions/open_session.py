"""Open the connections of one event loop to all providers."""

import aiohttp


def open_session(*, max_connections: int) -> aiohttp.ClientSession:
    """A session without cookies, proxies from the environment or deadlines of its own; use it as an async context manager."""
    connector = aiohttp.TCPConnector(limit=max_connections, ttl_dns_cache=60, keepalive_timeout=30)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        timeout=aiohttp.ClientTimeout(total=None),
        # Some providers' gateways turn away a client that doesn't say who it is.
        headers={"User-Agent": "aiplatform"},
    )
