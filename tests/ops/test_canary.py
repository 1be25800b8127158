"""A secret of each kind is put into a live platform that then has all sorts of trouble; wherever one may look, it isn't there."""

import base64
import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

import psutil
import pytest
import redis
import requests
from django.conf import settings
from django.db import connection
from django.utils import timezone

from apps.accounts.actions import begin_second_factor, revoke_api_key
from apps.accounts.models import AuditEntry, User
from apps.jobs.models import Job
from apps.lib.redaction import REDACTED
from apps.lib.redis_client import redis_client
from apps.providers.actions import save_provider_key
from apps.traces.domain.bodies import open_body
from apps.traces.models import Body, Exchange, Run
from apps.webhooks.domain.events import EventType
from apps.webhooks.models import Delivery, DeliveryState, Mail
from tests.accounts.test_admin_isolation import pages
from tests.architecture.source import ROOT
from tests.chaos.tables import note
from tests.chaos.workers import own_database_url, until
from tests.factories.accounts import make_api_key, make_client, make_office_client, make_user
from tests.factories.alerts import PLATFORM, make_alert
from tests.factories.providers import make_model, make_provider
from tests.factories.webhooks import make_endpoint_with_secret
from tests.indiscreet_providers import STREAMED, WAYS, events_of, indiscreet_provider, read_together, repeated
from tests.jobs.batches import input_line, jsonl
from tests.journeys.live import Live, running_parts
from tests.webhooks.mail_servers import receiving_mail
from tests.webhooks.receivers import opened, receiving

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos, pytest.mark.timeout(1200)]

PARTS = ("web", "exec-interactive", "exec", "ingest", "control", "beat", "flower")
# What it takes to answer those who wait: quick enough for every run.
CALLED_PARTS = ("web", "exec-interactive")
CALLED_PLACES = {"metrics", "back office", "logs", "tables", "bodies", "Redis", "command lines", "answers", "error pages"}
PLACES = CALLED_PLACES | {"Flower", "API", "commands", "files"}
# Few tries, soon after each other, and short patience.
QUICK = {"JOBS_RETRY_BASE_SECONDS": "0.05", "JOBS_RETRY_CAP_SECONDS": "0.1", "JOBS_MAX_ATTEMPTS": "2", "JOBS_MAX_OUTAGE_TRIES": "0"}


def new(kind: str) -> str:
    """With what has to be written otherwise in addresses and in base64."""
    return f"{kind}+{secrets.token_urlsafe(24)}/=&{secrets.token_hex(4)}"


@cache
def forms(secret: str) -> set[bytes]:
    """Each way in which it could be written down; made otherwise than by the platform itself."""
    raw = secret.encode()
    found = {raw, raw.hex().encode(), raw.hex().upper().encode(), quote(secret, safe="").encode(), quote_plus(secret).encode()}
    found |= {json.dumps(secret)[1:-1].encode(), repr(raw)[2:-1].encode()}
    for before in range(3):
        whole = base64.b64encode(bytes(before) + raw + bytes(3))
        inner = whole[4 if before else 0 : len(whole) - 8]
        found |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return found


@dataclass
class Search:
    """What was looked into, and what was found there."""

    canaries: dict[str, str] = field(default_factory=dict)
    looked_at: dict[str, int] = field(default_factory=dict)
    hits: list[str] = field(default_factory=list)

    def look(self, kind: str, name: str, content: bytes | str) -> None:
        text = content.encode() if isinstance(content, str) else content
        self.looked_at[kind] = self.looked_at.get(kind, 0) + 1
        for canary, secret in self.canaries.items():
            self.hits += [f"{canary} in {kind} {name}: {around(text, form)}" for form in forms(secret) if form in text]


def together(body: bytes) -> bytes:
    """What stands there piece by piece."""
    return read_together(events_of(body)).encode()


def around(text: bytes, form: bytes) -> bytes:
    at = text.find(form)
    return text[max(0, at - 80) : at] + b"<HERE>" + text[at + len(form) : at + len(form) + 40]


# --- the world ----------------------------------------------------------------------------------------------------------


@dataclass
class World:
    """What is there, and its secrets."""

    live: Live
    search: Search
    folder: Path
    secret: str
    root: User
    commands: list[tuple[str, bytes]] = field(default_factory=list)

    def call(self, model: str) -> int:
        is_streamed = model.split("-")[1] in STREAMED
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": is_streamed}
        headers = {"Authorization": f"Bearer {self.secret}"}
        answer = requests.post(f"{self.live.url}/v1/chat/completions", json=body, headers=headers, timeout=60)
        self.search.look("answers", model, answer.content + str(dict(answer.headers)).encode() + together(answer.content))
        return answer.status_code

    def manage(self, *arguments: str, is_refused: bool = False, **environment: str) -> None:
        own = os.environ | {"DATABASE_URL": own_database_url()} | environment
        done = subprocess.run([sys.executable, "manage.py", *arguments], cwd=ROOT, env=own, capture_output=True, check=False)
        assert (done.returncode != 0) is is_refused, (arguments, done.stderr)
        self.commands.append((" ".join(arguments[:1]), done.stdout + done.stderr))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[World]:
    """With the parts that the test names."""
    search = Search()
    known = search.canaries
    known |= {"SECRET_KEY": settings.SECRET_KEY, "encryption key": os.environ["AIPLATFORM_ENCRYPTION_KEYS"].partition(":")[2]}
    known |= {"database password": urlsplit(os.environ["DATABASE_URL"]).password or "", "redis password": redis_password()}
    known |= {"smtp password": new("smtp"), "flower password": new("flower")}
    monkeypatch.setenv("AIPLATFORM_STORAGE", settings.STORAGES["default"]["OPTIONS"]["location"])
    with ExitStack() as stack:
        address, seen = stack.enter_context(indiscreet_provider())
        receiver = stack.enter_context(receiving(status=500, content=b"I will not have it"))
        # It says no to the right password, and repeats it.
        mail = stack.enter_context(
            receiving_mail(password="another", wrong=lambda login: f"no: {login} {repeated(known['smtp password'])}")
        )
        own = {
            "EMAIL_URL": f"smtp://alerts:{quote(known['smtp password'], safe='')}@127.0.0.1:{mail.port}",
            "AIPLATFORM_FLOWER_PASSWORD": known["flower password"],
            "WEBHOOKS_PORTS": str(receiver.port),
            "WEBHOOKS_PRIVATE_NETWORKS": "127.0.0.1/32",
            "WEBHOOKS_HTTP": "true",
            "LOG_LEVEL": "DEBUG",
        }
        live = stack.enter_context(running_parts(tmp_path, *request.param, **QUICK, **own))
        _, secret = make_api_key()
        revoked, known["revoked key"] = make_api_key()
        revoke_api_key(key_id=revoked.id, now=timezone.now())
        known |= {"api key": secret, "wrong key": "aip-" + secrets.token_urlsafe(32)}
        root = make_user("root", is_superuser=True)
        User.objects.filter(id=root.id).update(email="root@example.com")
        known["totp secret"] = begin_second_factor(make_user("ada")).secret
        with opened(receiver):
            _, known["webhook secret"] = make_endpoint_with_secret(url=receiver.url, events=tuple(EventType))
        for way in WAYS:
            for kind in ("openai", "anthropic"):
                known[f"{kind} key {way}"] = new("pk")
                values: dict[str, Any] = {"read_timeout_seconds": 1, "total_timeout_seconds": 2} if way == "hang" else {}
                provider = make_provider(f"{kind}-{way}", base_url=f"{address}/{way}/v1", kind=kind, **values)
                save_provider_key(provider_id=provider.id, api_key=known[f"{kind} key {way}"])
                make_model(f"{kind}-{way}", provider)
        made = World(live=live, search=search, folder=tmp_path, secret=secret, root=root)
        yield made
        assert set(seen) == set(WAYS)


def redis_password() -> str:
    return urlsplit(os.environ["REDIS_URL"]).password or ""


# --- what happens to it -------------------------------------------------------------------------------------------------


def trouble(world: World) -> None:
    """Every way in which providers fail, for callers who wait and for a batch; then the stores fail, the mail server and the commands."""
    models = calls(world)
    job = batch(world, [model for model in models if model.split("-")[1] in {"400", "answer", "redirect"}])
    until(lambda: Job.objects.filter(id=job).exclude(ended_at=None).exists(), "the batch ended", seconds=300)
    assert Job.objects.get(id=job).status == "completed"
    strangers(world)
    sign_in(world)
    make_alert(PLATFORM, fingerprint="canary")
    until(lambda: Mail.objects.exclude(last_error="").exists(), "a mail was refused")
    until(lambda: Delivery.objects.exclude(last_status=None).exists(), "a webhook was refused")
    commands(world)
    cut_connections()
    until(lambda: world.call("openai-answer") == 200, "it works again", pause=0.2)


def calls(world: World) -> list[str]:
    """The models that were called, one for each kind of provider and each way to fail."""
    models = [f"{kind}-{way}" for way in WAYS for kind in ("openai", "anthropic")]
    with ThreadPoolExecutor(8) as pool:
        statuses = dict(zip(models, pool.map(world.call, models), strict=True))
    assert (statuses["openai-answer"], statuses["openai-pieces"], statuses["openai-400"]) == (200, 200, 400)
    return models


def batch(world: World, models: list[str]) -> Any:
    lines = [input_line(model, body={"model": model, "messages": [{"role": "user", "content": "hi"}]}) for model in models]
    headers, url = {"Authorization": f"Bearer {world.secret}"}, f"{world.live.url}/v1"
    file = requests.post(f"{url}/files", headers=headers, data={"purpose": "batch"}, files={"file": ("a.jsonl", jsonl(lines))}, timeout=60)
    asked = {"input_file_id": file.json()["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    answer = requests.post(f"{url}/batches", headers=headers, json=asked, timeout=60)
    assert answer.status_code == 200, answer.text
    return Job.objects.get(kind="batch").id


def strangers(world: World, *, few: bool = False) -> None:
    """Keys that are wrong, revoked, in the wrong place."""
    url, known = world.live.url, world.search.canaries
    for name in ("wrong key", "revoked key", "api key"):
        for path in ("/v1/models",) if few else ("/v1/models", "/api/jobs", "/healthz", "/nowhere", "/admin/"):
            for header, scheme in (("Authorization", "Bearer "), ("Authorization", "Basic "), ("x-api-key", "")):
                answer = requests.get(url + path, headers={header: scheme + known[name]}, timeout=60)
                world.search.look("error pages", f"{name} {path}", answer.content + str(dict(answer.headers)).encode())
            for address, values in ((path, {"api_key": known[name]}), (f"{path}/{known[name]}", {})):
                answer = requests.get(url + address, params=values, timeout=60)
                world.search.look("error pages", f"{name} in {path}", answer.content + str(dict(answer.headers)).encode())
                assert answer.status_code == 400, address
    for broken in (b"{", b"\xff", b"[" * 100_000):
        headers = {"Authorization": f"Bearer {world.secret}", "Content-Type": "application/json"}
        answer = requests.post(f"{url}/v1/chat/completions", data=broken, headers=headers, timeout=60)
        world.search.look("error pages", "broken body", answer.content)


def sign_in(world: World) -> None:
    """A real session, and passwords that are wrong."""
    known, url = world.search.canaries, f"{world.live.url}/admin/login/"
    known["wrong password"] = new("password")
    for password in (known["wrong password"], "a long enough password"):
        with requests.Session() as browser:
            page = browser.get(url, timeout=60)
            found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
            assert found
            values = {"username": "root", "password": password, "csrfmiddlewaretoken": found[1], "next": "/admin/"}
            answer = browser.post(url, data=values, headers={"Referer": url}, timeout=60)
            if password != known["wrong password"]:
                assert answer.url.endswith("/admin/"), answer.url
                known |= {"session": browser.cookies["sessionid"], "csrf token": browser.cookies["csrftoken"]}


def commands(world: World) -> None:
    """Commands that are given secrets, rightly and wrongly."""
    known = world.search.canaries
    known |= {"applied key": new("applied"), "rejected key": new("rejected"), "rotated key": new("rotated")}
    wrong = known["wrong password of a store"] = secrets.token_urlsafe(24)
    good, bad = world.folder / "good.toml", world.folder / "bad.toml"
    provider = '[[providers]]\nname = "applied"\nkind = "openai"\nbase_url = "http://127.0.0.1:9/v1"\n'
    good.write_text(f'{provider}api_key_env = "APPLIED_KEY"\n')
    bad.write_text(f'{provider}api_key = "{known["rejected key"]}"\nno_such_name = 1\n')
    world.manage("apply", str(good), APPLIED_KEY=known["applied key"])
    world.manage("apply", str(bad), is_refused=True)
    world.manage("rotate_provider_key", "applied", "--env", "NEW_KEY", is_refused=True, NEW_KEY=known["rotated key"])
    world.manage("rotate_provider_key", "applied", "--from-env", "NEW_KEY", NEW_KEY=known["rotated key"])
    database = own_database_url().replace(known["database password"], wrong)
    world.manage("check_invariants", is_refused=True, DATABASE_URL=database)
    world.manage("check_invariants", is_refused=True, DATABASE_URL=database.replace("postgresql:", "nothing:"))
    broken = {"REDIS_URL": f"redis://:{wrong}@127.0.0.1:1/0", "EMAIL_URL": f"nothing://a:{wrong}@host"}
    world.manage("check_invariants", is_refused=True, **broken)
    world.manage("status", is_refused=True, AIPLATFORM_ENCRYPTION_KEYS=f"x:{wrong}")


def cut_connections() -> None:
    """What processes say of it when their stores hang up in the middle."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    redis_client().client_kill_filter(_type="normal", skipme=True)
    redis_client().client_kill_filter(_type="pubsub", skipme=True)


# --- where one may look ---------------------------------------------------------------------------------------------------


def look_everywhere(world: World) -> None:
    look_at_pages(world)
    look_at_flower_and_lists(world)
    look_at_stores(world)
    look_at_processes(world)
    for file in Path(os.environ["AIPLATFORM_STORAGE"]).rglob("*"):
        if file.is_file():
            world.search.look("files", file.name, file.read_bytes())


def look_at_processes(world: World) -> None:
    look = world.search.look
    for log in [*world.folder.glob("*.log"), *Path(os.environ["AIPLATFORM_HOME"]).glob("*.log")]:
        look("logs", log.name, log.read_bytes())
    for name, told in world.commands:
        look("commands", name, told)
    for name, pid in world.live.pids.items():
        for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            look("command lines", name, "\0".join(process.cmdline()))


def look_at_pages(world: World) -> None:
    look = world.search.look
    look("metrics", "/metrics", requests.get(f"{world.live.url}/metrics", timeout=60).content)
    office = make_office_client(world.root)
    for path in office_pages():
        look("back office", path, content_of(office.get(path)))


def look_at_flower_and_lists(world: World) -> None:
    look = world.search.look
    for path, told in flower_pages(world.live, world.search.canaries["flower password"]):
        look("Flower", path, told)
    client = make_client()
    for path in api_pages():
        answer = client.get(path)
        assert answer.status_code == 200, path
        look("API", path, content_of(answer))


def content_of(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def look_at_stores(world: World) -> None:
    look = world.search.look
    for name, rows in tables():
        look("tables", name, rows)
    for body in Body.objects.all():
        content = open_body(bytes(body.content))
        look("bodies", body.pk.hex() if isinstance(body.pk, bytes) else str(body.pk), content + together(content))
    for key, value in redis_values():
        look("Redis", key, value)


def flower_pages(live: Live, password: str) -> Iterator[tuple[str, bytes]]:
    with requests.Session() as session:
        session.auth = ("admin", password)
        workers = session.get(f"{live.flower_url}/api/workers", params={"refresh": "true"}, timeout=60).json()
        tasks = session.get(f"{live.flower_url}/api/tasks", params={"limit": 2000}, timeout=60).json()
        assert any(name.startswith("control@") for name in workers)
        assert any(task["name"] == "jobs.run_items" for task in tasks.values())
        yield from (("/api/workers", json.dumps(workers).encode()), ("/api/tasks", json.dumps(tasks).encode()))
        paths = ["/workers", "/tasks", "/broker", "/api/queues/length", "/api/task/types", "/metrics"]
        paths += [f"/worker/{name}" for name in workers] + [f"/task/{uuid}" for uuid in list(tasks)[:20]]
        for path in paths:
            answer = session.get(live.flower_url + path, timeout=60)
            assert answer.status_code == 200, path
            yield path, answer.content


def office_pages() -> list[str]:
    """Every page, of the rows that trouble has been with."""
    found = ["/admin/", "/admin/jobs/", "/admin/jobs/item/dead/"]
    shown: dict[Any, list[Any]] = {
        Exchange: list(Exchange.objects.values_list("pk", flat=True)),
        Run: list(Run.objects.values_list("pk", flat=True)),
    }
    for page in pages():
        if page.has_row:
            # All of what the calls came to; of everything else the newest.
            rows = shown.get(page.model) if page.kind == "change" else None
            found += [page.path(row) for row in rows or page.row_model._default_manager.order_by("-pk").values_list("pk", flat=True)[:1]]
        else:
            found.append(page.path(""))
    return found


def api_pages() -> list[str]:
    job = Job.objects.get(kind="batch").public_id
    lists = (
        "jobs",
        "files",
        "keys",
        "webhooks",
        "alerts",
        "providers",
        "dead-items",
        "spend",
        "budgets",
        "workspace",
        f"jobs/{job}/items",
        f"jobs/{job}/results",
    )
    return [*(f"/api/{name}" for name in lists), "/v1/batches", "/v1/files", "/v1/models", f"/v1/batches/{job}", "/api/schema/?format=json"]


def tables() -> Iterator[tuple[str, bytes]]:
    """As a dump has them."""
    with connection.cursor() as cursor:
        for name in connection.introspection.table_names(cursor):
            with cursor.copy(f'COPY "{name}" TO STDOUT') as copy:
                yield name, b"".join(bytes(part) for part in copy)


def redis_values() -> Iterator[tuple[str, bytes]]:
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        read: dict[bytes, Any] = {
            b"string": client.get,
            b"hash": client.hgetall,
            b"list": lambda key: client.lrange(key, 0, -1),
            b"set": client.smembers,
            b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
            b"stream": lambda key: pieces_of(client.xrange(key)),
        }
        for key in client.scan_iter():
            value = read[client.type(key)](key)
            yield key.decode(), key + (value if isinstance(value, bytes) else repr(value).encode())


def pieces_of(entries: list[tuple[bytes, dict[bytes, bytes]]]) -> bytes:
    """The pieces of a streamed answer, each for itself and put together."""
    pieces = b"\n".join(fields[b"d"] for _, fields in entries)
    return pieces + together(pieces)


def assert_the_streams_were_cleared(world: World) -> None:
    """The pieces told something in the key's place, as does what is kept of the streams that broke off."""
    streams = [value for key, value in redis_values() if key.startswith("aiplatform:stream:")]
    assert len(streams) >= len(STREAMED) * 2
    assert all(REDACTED.encode() in value for value in streams)
    broken = [body for body in map(bytes, Body.objects.values_list("content", flat=True)) if b"data: {" in open_body(body)]
    assert broken
    assert all(REDACTED.encode() in open_body(body) for body in broken)
    assert Run.objects.filter(error_message__contains=REDACTED).exists()
    assert set(world.search.looked_at) >= CALLED_PLACES


@pytest.mark.parametrize("world", [CALLED_PARTS], indirect=True, ids=["calls"])
def test_no_secret_is_where_calls_leave_something(world: World) -> None:
    calls(world)
    strangers(world, few=True)
    sign_in(world)
    look_at_pages(world)
    look_at_stores(world)
    look_at_processes(world)
    assert set(world.search.looked_at) == CALLED_PLACES
    assert_the_streams_were_cleared(world)
    assert world.search.hits == []


@pytest.mark.long
@pytest.mark.parametrize("world", [PARTS], indirect=True, ids=["all"])
def test_no_secret_is_anywhere(world: World) -> None:
    trouble(world)
    look_everywhere(world)
    search = world.search
    assert set(search.looked_at) == PLACES
    assert_the_streams_were_cleared(world)
    # What is looked for would be found there.
    assert "Traceback" in "".join((world.folder / f"{part}.log").read_text(errors="replace") for part in PARTS)
    assert AuditEntry.objects.exists()
    assert Mail.objects.filter(last_error__contains="[redacted]").exists()
    assert Delivery.objects.exclude(state=DeliveryState.DELIVERED).exists()
    assert search.hits == []
    places = " ".join(f"{kind}:{number}" for kind, number in sorted(search.looked_at.items()))
    note("Canaries", ("secrets", "places", "hits"), (len(search.canaries), places, len(search.hits)))


@pytest.mark.parametrize("before", ["", "x", "xy", "Bearer "])
def test_the_search_would_find_it(before: str) -> None:
    secret = new("pk")
    raw = (before + secret).encode()
    for content in (
        raw,
        raw.hex().encode(),
        base64.b64encode(raw + b"abc"),
        base64.urlsafe_b64encode(raw),
        quote(before + secret, safe="").encode(),
    ):
        search = Search(canaries={"it": secret})
        search.look("here", "there", b"something " + content + b" else")
        assert search.hits, content
