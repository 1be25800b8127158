"""A key in an address is refused at every door before anybody looks at it, and is in no answer and in no line of the log."""

import io
import logging
from collections.abc import Iterator
from urllib.parse import quote, unquote

import pytest
from django.conf import settings
from django.test import Client

from apps.accounts.models import ApiKey
from tests.factories.accounts import make_api_key

pytestmark = pytest.mark.django_db

DOORS = (
    ("GET", "/v1/models?api_key={key}"),
    ("GET", "/v1/files?limit=1&key={key}"),
    ("POST", "/v1/chat/completions?access_token={key}"),
    ("POST", "/v1/batches?{key}"),
    ("GET", "/v1/files/{key}"),
    ("GET", "/v1/{key}/files"),
    ("GET", "/v1/models/file_{key}"),
    ("GET", "/api/jobs?anything={key}"),
    ("GET", "/api/jobs/batch_0/events?api-key={key}"),
    ("GET", "/api/schema/?token={key}"),
    ("GET", "/metrics?key={key}"),
    ("GET", "/healthz?key={key}"),
    ("GET", "/readyz?key={key}"),
    ("GET", "/admin/?q={key}"),
    ("GET", "/admin/login/?next=/admin/%3Fkey%3D{key}"),
    ("GET", "/nothing/at/all?key={key}"),
)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the platform's own handler writes, with its own format."""
    written = io.StringIO()
    formatter = settings.LOGGING["formatters"]["json"]
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter["()"](**{name: value for name, value in formatter.items() if name != "()"}))
    root = logging.getLogger()
    root.addHandler(handler)
    yield written
    root.removeHandler(handler)


def encoded(secret: str) -> str:
    """Each character as its number: what proxies write down, and no plain search finds."""
    return "".join(f"%{ord(character):02x}" for character in secret)


@pytest.mark.parametrize("with_header", [False, True])
@pytest.mark.parametrize(("method", "address"), DOORS)
def test_every_door_refuses_it(method: str, address: str, *, with_header: bool, log: io.StringIO) -> None:
    key, secret = make_api_key()
    headers = {"Authorization": f"Bearer {secret}"} if with_header else {}
    client = Client(headers=headers, raise_request_exception=False)
    for shape in (secret, quote(secret), encoded(secret), secret[:30], quote(encoded(secret)), quote(quote(encoded(secret)))):
        answer = client.generic(method, address.format(key=shape), b"{}", content_type="application/json")
        assert answer.status_code == 400, answer.content
        assert b"treat this key as leaked" in answer.content
        assert secret[4:16].encode() not in b"".join(answer) + repr(answer.headers).encode()
    assert ApiKey.objects.get(id=key.id).last_used_at is None
    assert "Bad Request" in log.getvalue()
    told = log.getvalue()
    for _ in range(4):
        assert secret[4:16] not in told
        told = unquote(told)


@pytest.mark.parametrize("query", ["key=aip-12345678", "q=aip-", "q=aip-gap", "name=paip-er%20and%20pencil", "api_key=key_" + "0" * 32])
def test_what_recognises_a_key_without_opening_anything_is_no_key(query: str) -> None:
    _, secret = make_api_key()
    assert Client(headers={"Authorization": f"Bearer {secret}"}).get(f"/v1/models?{query}").status_code == 200


def test_in_its_header_it_is_still_good() -> None:
    _, secret = make_api_key()
    assert Client(headers={"Authorization": f"Bearer {secret}"}).get("/v1/models?limit=5").status_code == 200
