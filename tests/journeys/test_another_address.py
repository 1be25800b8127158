"""The back office at an address of its own, for some networks only: every page follows, and to all others it is as if nothing was there."""

import re
from contextlib import closing
from importlib import import_module
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import requests
from django.conf import LazySettings, settings
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from apps.webhooks.models import Alert
from tests.accounts import test_admin_isolation as office
from tests.architecture.source import ROOT
from tests.factories.accounts import make_office_client
from tests.faults import figure
from tests.journeys.live import running_parts

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

OFFICE = "/house/desk/"
INSIDE = {"X-Forwarded-For": "10.7.1.2", "X-Forwarded-Proto": "https"}
OUTSIDE = {"X-Forwarded-For": "10.8.1.2", "X-Forwarded-Proto": "https"}
# The address of before, in a link, a form, a script's argument or a header; the theme's own files are in a folder of that name.
OLD = re.compile(r"""["'=(]/admin/[^"']*""")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
FILE = {"Content-Type": "multipart/form-data; boundary=b"}
CLOSED = (OFFICE, OFFICE.rstrip("/"), *(OFFICE + page for page in ("login/", "jobs/job/new/", "second-factor/", "nowhere/")))
# (method, body, headers): what an address without a route is asked, and what the back office has to answer just so.
QUESTIONS: tuple[tuple[str, bytes | None, dict[str, str]], ...] = (
    ("GET", None, {}),
    ("HEAD", None, {}),
    ("OPTIONS", None, {}),
    ("GET", None, {"X-Forwarded-Proto": "http"}),
    ("POST", b"username=root&password=wrong", FORM),
    ("POST", b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n--b--\r\n', FILE),
    ("POST", b"x" * 2_000_000, FORM),
    ("POST", b"x" * 6_000_000, FORM),
    ("POST", b"x", FORM | {"Transfer-Encoding": "chunked", "Content-Length": "1"}),
    ("GET", None, {"Host": "elsewhere.example"}),
)


def answer(url: str, path: str, method: str = "GET", **options: Any) -> requests.Response:
    return requests.request(method, url + path, allow_redirects=False, timeout=120, **options)


def told(url: str, path: str, method: str, **options: Any) -> tuple[int, dict[str, str], str]:
    """All of an answer but what differs each time, and the path itself."""
    found = answer(url, path, method, **options)
    headers = {name.lower(): value.replace(path, "PATH") for name, value in found.headers.items()}
    own = {"x-request-id", "date", "content-length", "openai-processing-ms"}
    return found.status_code, {name: value for name, value in headers.items() if name not in own}, found.text.replace(path, "PATH")


def office_paths(rows: dict[Any, Any]) -> list[str]:
    """Every page of the back office, with its usual address."""
    paths = [page.path(rows[page.row_model].pk) for page in office.pages()]
    return paths + ["/" + route for route in sorted(office.site_pages()) if "<" not in route and "(" not in route]


def status_of(client: Client, path: str) -> int:
    with closing(client.get(path)) as found:
        if found.streaming:
            b"".join(found)
        return found.status_code


def follow(url: str, path: str, session: dict[str, str]) -> tuple[int, list[str]]:
    """What a page answers at its new address, and what in it leads back to the old one."""
    # The world's files aren't as long as their rows say.
    with answer(url, path.replace("/admin/", OFFICE, 1), headers=INSIDE | session, stream=True) as found:
        text = found.text if found.headers.get("content-type", "").startswith("text/html") else ""
    return found.status_code, [f"{path}: {match}" for match in OLD.findall(text + found.headers.get("location", ""))]


def test_every_page_follows_and_others_find_nothing(tmp_path: Path) -> None:
    paths = office_paths(office.make_world())
    client = make_office_client()
    usual = {path: status_of(client, path) for path in paths}
    # Conditions write it anew each minute, by the address of then.
    Alert.objects.update(path=f"{OFFICE}jobs/item/dead/")
    session = {"Cookie": f"sessionid={client.cookies['sessionid'].value}"}
    environment = {
        "AIPLATFORM_ADMIN_PATH": OFFICE.strip("/"),
        "AIPLATFORM_ADMIN_ADDRESSES": "10.7.0.0/16,2001:db8::/32",
        "AIPLATFORM_HTTPS": "true",
        "AIPLATFORM_STORAGE": settings.STORAGES["default"]["OPTIONS"]["location"],
    }
    with running_parts(tmp_path, "web", **environment) as live:
        for path in paths:
            status, back = follow(live.url, path, session)
            assert (path, status, back) == (path, usual[path], [])
        asked = 0
        for path in CLOSED:
            for method, body, headers in QUESTIONS:
                options = {"data": body, "headers": OUTSIDE | session | headers}
                nowhere = told(live.url, "/nowhere/at/all", method, **options)
                assert told(live.url, path, method, **options) == nowhere, (method, path, headers)
                asked += 1
        assert [answer(live.url, path, headers=INSIDE | session).status_code for path in ("/admin", "/admin/", "/admin/login/")] == [
            404
        ] * 3
        # The same question from inside is another matter.
        assert answer(live.url, f"{OFFICE}login/", headers=INSIDE).status_code == 200
        assert answer(live.url, OFFICE, headers=INSIDE | {"X-Forwarded-For": "2001:db8::9"} | session).status_code == 200
        assert answer(live.url, "/v1/models", headers=OUTSIDE).status_code == 401
    figure("Another address", f"{len(paths)} pages at another address: leading back 0; {asked} answers to others: told apart 0")
    assert len(paths) > 80


def test_a_server_that_does_not_heed_the_networks_does_not_start(settings: LazySettings) -> None:
    settings.ADMIN_ADDRESSES = (ip_network("10.7.0.0/16"),)
    with pytest.raises(ImproperlyConfigured, match=r"aiplatform\.asgi alone"):
        import_module("aiplatform.wsgi")


def test_what_is_taken_is_what_other_addresses_begin_with() -> None:
    """AIPLATFORM_ADMIN_PATH is refused there; Django itself would let one hide the other."""
    firsts = {str(pattern.pattern).split("/")[0] for resolver in get_resolver().url_patterns for pattern in _each(resolver)}
    assert firsts - {"admin"} | {settings.STATIC_URL.strip("/")} == set(settings.OTHER_FOLDERS)


def _each(resolver: URLPattern | URLResolver) -> list[URLPattern | URLResolver]:
    return resolver.url_patterns if isinstance(resolver, URLResolver) and not str(resolver.pattern) else [resolver]


def test_no_source_writes_the_address_down() -> None:
    """Else one page stays behind when the others go."""
    ours = [path for folder in ("apps", "aiplatform") for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".html", ".js"}]
    wrong = {
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in ours
        for line in path.read_text().splitlines()
        if re.search(r"""["'/]admin/""", line) and not re.search(r"""\{% (extends|include) "admin/|static ['"]admin/""", line)
    }
    assert wrong == set()
    assert len(ours) > 300
