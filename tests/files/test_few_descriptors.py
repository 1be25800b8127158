"""A web process that runs out of file descriptors: who can't be served is told to come back, and nothing half done stays."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import requests
from openai import OpenAI

from apps.files.models import File
from apps.lib.embedded import wait_until
from tests.files.serving import Server

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]
CALLERS = 60
FREE = 8


def _upload(server: Server, secret: str, number: int) -> requests.Response | None:
    """Each on a connection of its own; None when there was not even a descriptor for that."""
    form = {"file": (f"{number}.jsonl", b"x" * 3_000_000)}
    headers = {"Authorization": f"Bearer {secret}", "Connection": "close"}
    try:
        return requests.post(f"{server.url}/v1/files", headers=headers, data={"purpose": "batch"}, files=form, timeout=300)
    except requests.ConnectionError:
        return None


def test_without_descriptors_callers_are_told_to_come_back_and_it_recovers(server: Server, client: OpenAI, secret: str) -> None:
    client.files.create(file=("warm", b"x"), purpose="batch")
    process = psutil.Process(server.process.pid)
    _, most = limits = process.rlimit(psutil.RLIMIT_NOFILE)
    before = set(server.stored())
    process.rlimit(psutil.RLIMIT_NOFILE, (process.num_fds() + FREE, most))
    try:
        with ThreadPoolExecutor(CALLERS) as pool:
            answers = [answer for answer in pool.map(lambda number: _upload(server, secret, number), range(CALLERS)) if answer is not None]
    finally:
        process.rlimit(psutil.RLIMIT_NOFILE, limits)
    found = Counter(answer.status_code for answer in answers)
    assert set(found) <= {200, 503}, [answer.text for answer in answers if answer.status_code not in (200, 503)]
    assert found[503], "nothing was short"
    for refused in (answer for answer in answers if answer.status_code == 503):
        assert (refused.json()["error"]["code"], refused.headers["Retry-After"]) == ("unavailable", "5")
    assert File.objects.count() == found[200] + 1
    wait_until(lambda: server.open_files() == [], process=server.process, what="the uploads' end")
    assert len(set(server.stored()) - before) == found[200]
    again = _upload(server, secret, CALLERS)
    assert again is not None
    assert again.status_code == 200
