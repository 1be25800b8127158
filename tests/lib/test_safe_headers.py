"""What answers lack of the safe headers is added; what they say themselves stays."""

from collections.abc import MutableMapping
from typing import Any

from apps.lib.safe_headers import SAFE_HEADERS, SafeHeaders

Headers = list[tuple[bytes, bytes]]


async def _answer(given: Headers, *, hsts_seconds: int = 0) -> dict[str, str]:
    sent: list[MutableMapping[str, Any]] = []

    async def application(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": given})
        await send({"type": "http.response.body", "body": b"ok"})

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await SafeHeaders(application, hsts_seconds=hsts_seconds)({"type": "http"}, receive, send)
    assert sent[1]["body"] == b"ok"
    names = [name for name, _ in sent[0]["headers"]]
    assert len(names) == len({name.lower() for name in names})
    return {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}


async def test_an_answer_without_any_gets_all_of_them() -> None:
    assert await _answer([(b"x-other", b"1")]) == {"x-other": "1", **SAFE_HEADERS}


async def test_what_an_answer_says_itself_stays_however_it_is_written() -> None:
    told = await _answer([(b"Cache-Control", b"public, max-age=60"), (b"content-security-policy", b"default-src 'self'")])
    assert (told["cache-control"], told["content-security-policy"]) == ("public, max-age=60", "default-src 'self'")
    assert told["x-frame-options"] == "DENY"


async def test_https_is_asked_for_only_where_there_is_https() -> None:
    assert "strict-transport-security" not in await _answer([])
    told = await _answer([], hsts_seconds=31_536_000)
    assert told["strict-transport-security"] == "max-age=31536000; includeSubDomains; preload"
