"""Flower as the platform starts it: closed to strangers, and a window only for those who have the password."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from apps.lib.embedded import wait_until
from apps.lib.ports import free_port
from apps.lib.processes import start_process, stop_process
from apps.ops.domain.parts import platform_parts
from tests.architecture.source import ROOT
from tests.faults import figure

pytestmark = pytest.mark.timeout(600)
PASSWORD = "a password of the test"
# Everything that shows something, and everything that would change something.
READS = (
    "", "workers", "tasks", "broker", "tasks/datatable", "api/workers", "api/tasks", "api/task/types", "api/queues/length",
    "api/task/info/x", "metrics",
)  # fmt: skip
WRITES = (
    "api/task/apply/jobs.sweep", "api/task/async-apply/jobs.sweep", "api/task/send-task/jobs.sweep", "api/task/revoke/x",
    "api/task/abort/x", "api/task/timeout/x", "api/task/rate-limit/x", "api/worker/shutdown/x", "api/worker/pool/restart/x",
    "api/worker/pool/grow/x", "api/worker/queue/add-consumer/x", "api/worker/queue/cancel-consumer/x",
)  # fmt: skip
# What Flower's own variables would open, were they heeded.
LEFT_OPEN = {
    "FLOWER_UNAUTHENTICATED_API": "true", "FLOWER_READ_ONLY": "false", "FLOWER_BASIC_AUTH": "admin:another", "FLOWER_ADDRESS": "0.0.0.0",
}  # fmt: skip
ELSEWHERE = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}


def command(port: int, home: Path) -> tuple[str, ...]:
    parts = platform_parts(python=sys.executable, project=ROOT, home=home, port=1, flower_port=port, cores=1, worker_stop_seconds=1)
    return next(part.command for part in parts if part.name == "flower")


@pytest.fixture
def flower(tmp_path: Path) -> Iterator[str]:
    port = free_port()
    environment = dict(os.environ) | {"AIPLATFORM_FLOWER_PASSWORD": PASSWORD, "AIPLATFORM_ROLE": "flower"} | LEFT_OPEN
    with (tmp_path / "flower.log").open("wb") as log:
        process = start_process(command(port, tmp_path), environment=environment, folder=ROOT, output=log)
        url = f"http://127.0.0.1:{port}/flower/"
        try:
            wait_until(lambda: _answers(url), process=process, what="Flower")
            yield url
        finally:
            stop_process(process, stop_signal=signal.SIGTERM, grace_seconds=60)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=30).status_code == 401
    except requests.RequestException:
        return False


def _unsafe(answer: requests.Response) -> bool:
    """A page that may be framed or kept, or that tells the server's version."""
    told = answer.headers
    is_safe = (told.get("x-frame-options"), told.get("cache-control"), told.get("x-content-type-options")) == (
        "DENY",
        "no-store",
        "nosniff",
    )
    return not is_safe or "frame-ancestors 'none'" not in told.get("content-security-policy", "") or "server" in told


def test_strangers_see_nothing_and_nobody_changes_anything(flower: str) -> None:
    right, wrong = ("admin", PASSWORD), ("admin", "another")
    open_to_strangers = [
        (method, path, answer.status_code)
        for who in (None, wrong)
        for method, paths in (("GET", READS), ("POST", WRITES))
        for path in paths
        if (answer := requests.request(method, flower + path, auth=who, timeout=120)).status_code != 401
    ]
    changed = [
        (path, answer.status_code)
        for path in WRITES
        for headers in ({}, ELSEWHERE)
        if (answer := requests.post(flower + path, auth=right, headers=headers, timeout=120)).status_code != 403
    ]
    framed = [path for path in READS if _unsafe(requests.get(flower + path, auth=right, timeout=120))]
    seen = requests.get(flower + "api/tasks", auth=right, headers=ELSEWHERE, timeout=120)
    asked = 2 * (len(READS) + len(WRITES))
    figure(
        "S12",
        f"strangers: {asked} requests, let in {len(open_to_strangers)}; with the password: {2 * len(WRITES)} changes, done {len(changed)}",
    )
    assert (open_to_strangers, changed, framed) == ([], [], [])
    assert (seen.status_code, "access-control-allow-origin" in seen.headers) == (200, False)


def test_without_a_password_it_does_not_start(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "AIPLATFORM_FLOWER_PASSWORD"}
    done = subprocess.run(
        command(free_port(), tmp_path), env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode != 0
    assert "AIPLATFORM_FLOWER_PASSWORD" in done.stderr
