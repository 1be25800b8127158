"""What every answer of the real web process tells browsers: each page, each route of both APIs, each refusal, static files.

What a scanner of web sites would complain of is looked for in all of them; the pages and routes come from the URLconf.
"""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from django.conf import settings
from django.db import connection
from urllib3 import HTTPResponse

from apps.accounts.domain.keys import Scope
from apps.providers.models import Model
from tests.accounts import test_admin_isolation as office
from tests.accounts import test_key_table as keys
from tests.factories.accounts import make_user
from tests.faults import figure
from tests.journeys.live import running_parts

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(1200)]

PASSWORD = "a long enough password"
WRITES_PER_MINUTE = 60
ENDLESS = ("text/event-stream", "application/octet-stream")
STATUSES = {200, 301, 302, 400, 401, 403, 404, 405, 413, 415, 429, 500, 503}
# A script, a handler or an address that runs without coming from a file of ours; data in JSON runs nowhere.
INLINE = re.compile(
    rb"""<script(?![^>]*\bsrc=)(?![^>]*application/json)|<[a-z][^>]*\son[a-z]+\s*=\s*["']|(?:href|src|action)=["']javascript:"""
)


@dataclass
class Scan:
    """What was asked, and what is wrong with the answers."""

    url: str
    asked: Counter[tuple[str, int]] = field(default_factory=Counter)
    wrong: list[tuple[str, str, int, str]] = field(default_factory=list)

    def ask(self, group: str, method: str, path: str, *, is_https: bool = True, **options: Any) -> requests.Response:
        """As a proxy in front passes it on that ends TLS."""
        headers = ({"X-Forwarded-Proto": "https"} if is_https else {}) | options.pop("headers", {})
        with requests.request(
            method, self.url + path, headers=headers, allow_redirects=False, timeout=240, stream=True, **options
        ) as answer:
            # A stream of events has no end, and the world's files aren't as long as their rows say.
            body = b"" if answer.headers.get("content-type", "").startswith(ENDLESS) else answer.content
        self.asked[group, answer.status_code] += 1
        self.wrong += [(method, path, answer.status_code, finding) for finding in findings(path, answer, body)]
        return answer

    def table(self) -> str:
        groups = sorted({group for group, _ in self.asked})
        lines = [
            f"  {group}: " + ", ".join(f"{count} x {status}" for (name, status), count in sorted(self.asked.items()) if name == group)
            for group in groups
        ]
        return "\n".join([f"{self.asked.total()} answers, findings {len(self.wrong)}", *lines])


def findings(path: str, answer: requests.Response, body: bytes) -> list[str]:
    """What is wrong with an answer, in words."""
    told = answer.headers
    policy = {
        name: set(values.split())
        for name, _, values in (part.strip().partition(" ") for part in told.get("content-security-policy", "").split(";"))
    }
    default = policy.get("default-src", {"*"})
    scripts = policy.get("script-src", default)
    own = {"'self'", "'none'"} | ({"'unsafe-eval'"} if path.startswith("/admin/") else set())
    sessions = [cookie.lower() for cookie in answer.raw.headers.getlist("set-cookie")]
    is_static = path.startswith("/static/") and answer.status_code == 200
    rules = {
        "scripts from elsewhere, or unsafe ones": scripts <= own,
        "objects": policy.get("object-src", default) == {"'none'"},
        "another base": policy.get("base-uri") == {"'none'"},
        "forms to elsewhere": policy.get("form-action", {"*"}) <= {"'self'", "'none'"},
        "frames": policy.get("frame-ancestors") == {"'none'"} and told.get("x-frame-options") == "DENY",
        "types are guessed": told.get("x-content-type-options") == "nosniff",
        "referrers": told.get("referrer-policy") == "same-origin",
        "openers": told.get("cross-origin-opener-policy") == "same-origin",
        "embedding": told.get("cross-origin-resource-policy") == "same-origin",
        "permissions": "camera=()" in told.get("permissions-policy", ""),
        "http may be asked": "max-age=31536000" in told.get("strict-transport-security", ""),
        "other origins read it": "access-control-allow-origin" not in told,
        "it may be kept": is_static or "no-store" in told.get("cache-control", ""),
        "the server's name": not {"server", "x-powered-by"} & {name.lower() for name in told},
        "a cookie over http": all("; secure" in cookie for cookie in sessions),
        "a cookie for scripts": all("; httponly" in cookie for cookie in sessions),
        "a cookie for other sites": all("; samesite=lax" in cookie or "; samesite=strict" in cookie for cookie in sessions),
        "a text without its encoding": not told.get("content-type", "").startswith("text/html") or "utf-8" in told["content-type"],
        "an inline script": not (told.get("content-type", "").startswith("text/html") and INLINE.search(body)),
        "the inside of the platform": not re.search(rb"Traceback \(most|File &quot;/|psycopg|/site-packages/", body),
    }
    return [name for name, holds in rules.items() if not holds]


@contextmanager
def broken_table() -> Iterator[None]:
    """A defect, for as long as it lasts: what reads the table of models fails."""
    name = Model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {name} RENAME TO {name}_away")
        try:
            yield
        finally:
            cursor.execute(f"ALTER TABLE {name}_away RENAME TO {name}")


def scan_pages(scan: Scan, session: dict[str, str], rows: dict[Any, Any]) -> None:
    paths = [page.path(rows[page.row_model].pk) for page in office.pages()]
    paths += ["/" + route for route in sorted(office.site_pages()) if "<" not in route and "(" not in route]
    for path in paths:
        scan.ask("pages, signed in", "GET", path, headers=session)
        scan.ask("pages, strangers", "GET", path)


def scan_routes(scan: Scan, world: keys.World) -> None:
    def bearer(who: str) -> dict[str, str]:
        return {"Authorization": world.clients[who].defaults["HTTP_AUTHORIZATION"], "Content-Type": "application/json"}

    asked = [(method, route) for route, takes in keys.NEEDS.items() for method in takes]
    # What deletes comes last.
    for method, route in sorted(asked, key=lambda one: ("GET", "POST", "PUT", "PATCH", "DELETE").index(one[0])):
        scan.ask("API, with a key", method, world.paths[route], headers=bearer("every scope"), data=None if method == "GET" else b"{}")
    for method, route in asked:
        scan.ask("API, without a key", method, world.paths[route])
        scan.ask("API, without the scope", method, world.paths[route], headers=bearer(lacking(route, method)))
    for path in sorted(keys.OPEN):
        scan.ask("open to all", "GET", f"/{path}")
        scan.ask("open to all", "POST", f"/{path}")
    scan.ask("open to all", "GET", "/api/docs/?script=")


def lacking(route: str, method: str) -> str:
    return "only files" if keys.needed(route, method) != {Scope.FILES} else "only chat"


def scan_refusals(scan: Scan, world: keys.World, session: dict[str, str]) -> None:
    key = {"Authorization": world.clients["scopes of a workspace"].defaults["HTTP_AUTHORIZATION"], "Content-Type": "application/json"}
    for prefix, who in (("/v1/files", key), ("/api/jobs", key), ("/admin/jobs/job/", session)):
        scan.ask("400", "GET", f"{prefix}?after=%00", headers=who)
        scan.ask("400", "GET", prefix, headers=who | {"Host": "elsewhere.example"})
        scan.ask("404", "GET", f"{prefix.rstrip('/')}/nowhere/at/all", headers=who)
        scan.ask("413", "POST", prefix.replace("files", "batches"), headers=who, data=b"x" * 2_200_000)
        scan.ask("415", "POST", prefix, headers=who | {"Content-Encoding": "gzip"}, data=b"x")
        scan.ask("http", "GET", prefix, headers=who, is_https=False)
    scan.ask("404", "GET", "/nowhere")
    scan.ask("404", "GET", "/static/nowhere.css")
    scan.ask("405", "PUT", "/v1/chat/completions", headers=key)
    scan.ask("503", "POST", "/v1/files", headers=key, data=b"{}")
    scan.ask("503", "POST", "/admin/jobs/job/new/", headers=session, data={"name": "x"})
    scan.ask("403", "POST", "/admin/login/", data={"username": "root", "password": PASSWORD})
    with broken_table():
        for path, who in (("/v1/models", key), ("/api/models", key), ("/admin/providers/model/", session)):
            scan.ask("500", "GET", path, headers=who)
    for _ in range(2 * WRITES_PER_MINUTE):
        if scan.ask("429", "POST", "/api/dead-items/requeue", headers=key, data=b"{}").status_code == 429:
            break


def scan_sign_in(scan: Scan) -> None:
    page = scan.ask("signing in", "GET", "/admin/login/")
    token = re.search(r"csrftoken=(\w+)", page.headers["set-cookie"])
    assert token
    for password in (PASSWORD, *["wrong"] * 6):
        form = {"username": "ada", "password": password, "csrfmiddlewaretoken": token[1]}
        headers = {"Cookie": f"csrftoken={token[1]}", "Origin": scan.url.replace("http:", "https:")}
        answer = scan.ask("signing in", "POST", "/admin/login/", headers=headers, data=form)
        assert ("sessionid=" in answer.headers.get("set-cookie", "")) == (password == PASSWORD)
    assert answer.status_code == 429


def test_no_answer_tells_a_browser_too_much_or_lets_it_do_too_much(tmp_path: Path) -> None:
    rows = office.make_world()
    world = keys.make_world()
    session = {"Cookie": f"sessionid={world.clients['a session'].cookies['sessionid'].value}"}
    make_user("ada")
    static = tmp_path / "static"
    static.mkdir()
    for name in ("a.css", "a.js", "a.svg"):
        (static / name).write_text("/* nothing */")
    environment = {
        "AIPLATFORM_HTTPS": "true",
        # Nothing switches the pages on that tell developers what failed.
        **dict.fromkeys(("DEBUG", "DJANGO_DEBUG", "AIPLATFORM_DEBUG"), "true"),
        "AIPLATFORM_STORAGE": settings.STORAGES["default"]["OPTIONS"]["location"],
        "AIPLATFORM_MAX_FILE_BYTES": "2000000",
        "AIPLATFORM_MAX_LINE_BYTES": "1000000",
        "AIPLATFORM_API_READS_PER_MINUTE": "0",
        "AIPLATFORM_API_WRITES_PER_MINUTE": str(WRITES_PER_MINUTE),
        "FILES_MIN_FREE_BYTES": str(10**15),
        "STATIC_ROOT": str(static),
    }
    with running_parts(tmp_path, "web", **environment) as live:
        scan = Scan(live.url)
        scan_pages(scan, session, rows)
        scan_routes(scan, world)
        scan_refusals(scan, world, session)
        scan_sign_in(scan)
        for name in ("a.css", "a.js", "a.svg"):
            scan.ask("static files", "GET", f"/static/{name}")
    figure("Headers", scan.table())
    assert scan.wrong == []
    assert {status for _, status in scan.asked} >= STATUSES
    assert scan.asked.total() > 900


def test_the_rules_see_what_they_are_for() -> None:
    """Else the scan would prove nothing."""
    answer = requests.Response()
    answer.status_code = 200
    answer.raw = HTTPResponse(headers=[("set-cookie", "sessionid=a; Path=/")])
    answer.headers.update({"content-type": "text/html", "server": "uvicorn/1", "content-security-policy": "script-src 'unsafe-inline'"})
    found = findings("/v1/files", answer, b"<a onclick='x()'> Traceback (most")
    assert len(found) == 19
    assert "other origins read it" not in found
