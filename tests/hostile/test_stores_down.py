"""Postgres or Valkey is killed under a running web process: no door answers 500, and all is well once the store is back."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import requests
from django.urls import get_resolver

from apps.lib.embedded import (
    PostgresServer,
    ValkeyServer,
    answers_ping,
    answers_sql,
    init_postgres,
    open_database,
    start_postgres,
    start_valkey,
    wait_until,
)
from apps.lib.ports import free_port
from apps.lib.processes import start_process, stop_process
from apps.ops.domain.parts import platform_parts
from tests.accounts.test_foreign_ids import SAMPLES, all_routes
from tests.architecture.source import ROOT
from tests.jobs.batches import CHAT, input_line, jsonl

pytestmark = pytest.mark.timeout(240)
ADMIN_PAGES = ["/admin/", "/admin/login/", "/admin/jobs/job/", "/admin/jobs/job/new/", "/admin/files/file/", "/admin/nowhere/"]
CALLS = {"/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"}
PASSWORD = "a long enough password"
MODEL = """
[[providers]]
name = "nowhere"
base_url = "http://127.0.0.1:9/v1"

[[models]]
name = "small"
targets = [{provider = "nowhere", model = "small"}]
"""


class Place:
    """Stores of its own that a test may kill, and a web process on them with its real flags."""

    def __init__(self, home: Path, stack: ExitStack) -> None:
        self.home, self._stack = home, stack
        self._postgres = PostgresServer(data=home / "postgres", port=free_port(), admin_password="a", password="b", durable=False)
        self._valkey = ValkeyServer(data=home / "valkey", port=free_port(taken=[self._postgres.port]), password="c", durable=False)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._port = free_port(taken=[self._postgres.port, self._valkey.port])
        self.url = f"http://127.0.0.1:{self._port}"
        own = {"AIPLATFORM_HOME": str(home), "DATABASE_URL": self._postgres.url(), "REDIS_URL": self._valkey.url, "STATIC_ROOT": str(home)}
        self._environment = dict(os.environ) | own | {"AIPLATFORM_STORAGE": str(home / "files"), "AIPLATFORM_ADMIN_PASSWORD": PASSWORD}

    def start(self) -> str:
        """A fresh platform; its API key."""
        init_postgres(self._postgres)
        self.start_store("postgres")
        open_database(self._postgres)
        self.start_store("valkey")
        self.manage("prepare")
        (self.home / "model.toml").write_text(MODEL)
        self.manage("apply", str(self.home / "model.toml"))
        secret = self.manage("create_api_key", "--workspace", "acme").split()[-1]
        parts = platform_parts(
            python=sys.executable, project=ROOT, home=self.home, port=self._port, flower_port=self._port, cores=1, worker_stop_seconds=1
        )
        command = next(part.command for part in parts if part.name == "web")
        environment = self._environment | {"AIPLATFORM_ROLE": "web"}
        self._start("web", lambda log: start_process(command, environment=environment, folder=ROOT, output=log))
        self.wait_until("/healthz", secret)
        return secret

    def wait_until(self, path: str, secret: str) -> None:
        """Until the web process answers 200 there."""
        headers = {"Authorization": f"Bearer {secret}"}
        wait_until(lambda: _is_good(self.url + path, headers), process=self._running["web"], what=path)

    def manage(self, *arguments: str) -> str:
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        return subprocess.run(command, env=self._environment, cwd=ROOT, check=True, capture_output=True, text=True).stdout

    def start_store(self, name: str) -> None:
        if name == "postgres":
            self._start(name, lambda log: start_postgres(self._postgres, log=log))
            wait_until(lambda: answers_sql(self._postgres.admin_url("template1")), process=self._running[name], what=name)
        else:
            self._start(name, lambda log: start_valkey(self._valkey, log=log))
            wait_until(lambda: answers_ping(self._valkey.url), process=self._running[name], what=name)

    def kill(self, name: str) -> None:
        process = self._running[name]
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)

    def tells_of_the_inside(self, *texts: str) -> bool:
        """Whether one of these texts says where a store is, or who may ask it."""
        inside = [str(self._postgres.port), str(self._valkey.port), 'user "', "127.0.0.1", "Connection refused"]
        return any(word in text for word in inside for text in texts)

    def log(self) -> str:
        return (self.home / "web.log").read_text()

    def _start(self, name: str, start: Any) -> None:
        log = self._stack.enter_context((self.home / f"{name}.log").open("ab"))
        self._running[name] = start(log)
        stop = signal.SIGINT if name == "postgres" else signal.SIGTERM
        self._stack.callback(stop_process, self._running[name], stop_signal=stop, grace_seconds=10)


def _is_good(url: str, headers: dict[str, str]) -> bool:
    try:
        return requests.get(url, headers=headers, timeout=15).ok
    except requests.RequestException:
        return False


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, str]]:
    with ExitStack() as stack:
        made = Place(tmp_path_factory.mktemp("stores"), stack)
        yield made, made.start()


def api_requests() -> Iterator[tuple[str, str]]:
    """(method, path) of each route of both APIs that looks at the database."""
    for route in sorted(set(all_routes(get_resolver()))):
        if not route.startswith(("v1/", "api/")) or route.startswith(("api/schema", "api/docs")):
            continue
        prefix = "file-" if "file_id" in route else "upload_" if "upload_id" in route else "batch_"
        path = "/" + re.sub("<(?:str|path):[^>]*>", prefix + UUID(int=7).hex, re.sub("<int:[^>]*>", "1", route))
        yield from ((method, path) for method in ("GET", "POST", "DELETE"))


def ask(place: Place, secret: str, method: str, path: str) -> requests.Response:
    body = json.dumps({"model": "small", "messages": [{"role": "user", "content": "hi"}]})
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    return requests.request(method, place.url + path, data=body if method == "POST" else None, headers=headers, timeout=60)


def test_every_route_is_asked() -> None:
    assert len({path for _, path in api_requests()}) > len(SAMPLES)


def test_without_postgres_every_door_says_try_again(place: tuple[Place, str]) -> None:
    platform, secret = place
    session = signed_in(platform)
    asked = list(api_requests())
    platform.kill("postgres")
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(lambda request: ask(platform, secret, *request), asked))
        watching = list(pool.map(lambda path: requests.get(platform.url + path, timeout=60), ("/healthz", "/readyz", "/metrics")))
        pages = list(pool.map(lambda path: session.get(platform.url + path, timeout=60), ADMIN_PAGES))
    for (method, path), answer in zip(asked, answers, strict=True):
        # An async view looks at the method first, every other one at the key.
        if answer.status_code == 405:
            is_call = path in CALLS or path.endswith("/turns")
            assert (is_call and method != "POST") or (path.endswith("/events") and method != "GET"), (method, path)
        else:
            assert answer.status_code == 503, (method, path, answer.text)
            assert_told(path, answer)
    for page in pages:
        assert (page.status_code, page.headers["Retry-After"]) == (503, "5"), page.text
        assert page.headers["Content-Type"].startswith("text/html")
        assert "database does not answer" in page.text
    assert [answer.status_code for answer in watching] == [200, 503, 200]
    assert "postgres" in watching[1].json()["failing"]
    assert not platform.tells_of_the_inside(*(answer.text for answer in (*answers, *pages, *watching[:2])))
    platform.start_store("postgres")
    platform.wait_until("/v1/files", secret)
    assert session.get(f"{platform.url}/admin/").status_code == 200
    assert "Traceback" not in platform.log()


def signed_in(platform: Place) -> requests.Session:
    session = requests.Session()
    session.get(f"{platform.url}/admin/login/", timeout=30)
    form = {"username": "admin", "password": PASSWORD, "csrfmiddlewaretoken": session.cookies["csrftoken"]}
    assert session.post(f"{platform.url}/admin/login/?next=/admin/", data=form, timeout=30).status_code == 200
    return session


def assert_told(path: str, answer: requests.Response) -> None:
    assert int(answer.headers["Retry-After"]) > 0
    told = answer.json()
    if path.startswith("/v1/"):
        assert (told["error"]["code"], told["error"]["type"]) == ("unavailable", "server_error")
    else:
        assert (told["code"], told["status"]) == ("unavailable", 503)
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_without_valkey_work_is_taken_in_all_the_same(place: tuple[Place, str]) -> None:
    platform, secret = place
    session = signed_in(platform)
    platform.kill("valkey")
    headers = {"Authorization": f"Bearer {secret}"}
    file = requests.post(
        f"{platform.url}/v1/files", headers=headers, data={"purpose": "batch"}, files={"file": jsonl([input_line("a")])}, timeout=60
    )
    assert file.status_code == 200, file.text
    batch = {"input_file_id": file.json()["id"], "endpoint": CHAT, "completion_window": "24h"}
    submitted = requests.post(f"{platform.url}/v1/batches", headers=headers, json=batch, timeout=60)
    assert (submitted.status_code, submitted.json()["status"]) == (200, "validating")
    cancelled = requests.post(f"{platform.url}/v1/batches/{submitted.json()['id']}/cancel", headers=headers, timeout=60)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelling")
    # A call is taken in, too; without a worker it waits until its caller goes.
    call = {"model": "small", "messages": [{"role": "user", "content": "hi"}]}
    with pytest.raises(requests.ReadTimeout):
        requests.post(f"{platform.url}/v1/chat/completions", headers=headers, json=call, timeout=5)
    calls = requests.get(f"{platform.url}/api/jobs?kind=single", headers=headers, timeout=60).json()["data"]
    assert [found["endpoint"] for found in calls] == ["/v1/chat/completions"]
    asked = [(method, path) for method, path in api_requests() if path not in CALLS]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda request: ask(platform, secret, *request), asked))
        pages = list(pool.map(lambda path: session.get(platform.url + path, timeout=60), ADMIN_PAGES))
    assert [(*request, answer.text) for request, answer in zip(asked, answers, strict=True) if answer.status_code >= 500] == []
    assert [page.url for page in pages if page.status_code >= 500] == []
    unready = requests.get(f"{platform.url}/readyz", timeout=60)
    assert (unready.status_code, unready.json()["failing"]) == (503, ["redis"])
    assert not platform.tells_of_the_inside(unready.text, *(answer.text for answer in answers))
    assert requests.get(f"{platform.url}/metrics", timeout=60).status_code == 200
    platform.start_store("valkey")
    assert "Traceback" not in platform.log()
