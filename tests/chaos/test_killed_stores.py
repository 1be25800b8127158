"""Postgres or Valkey is killed while calls are in the air: every answer is kept, no call is made again, nothing counts as lost."""

import json
import os
import signal
from pathlib import Path

import openai
import psutil
import psycopg
import pytest

from tests.chaos.stack import Stack
from tests.chaos.workers import until
from tests.simulated import Simulator

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]
ITEMS = 25
MODEL = "slow"
PROMPT = "Take your time, number {}. [[sim delay=10]]"
CONFIG = """
[[providers]]
name = "simulated"
base_url = "{base_url}"

[[models]]
name = "slow"
targets = [{{provider = "simulated", model = "simulated"}}]
input_usd_per_million = "1"
output_usd_per_million = "2"
"""


def client_of(stack: Stack, url: str) -> openai.OpenAI:
    made = stack.manage("create_api_key", "--workspace", "chaos")
    assert made.returncode == 0, made.stderr
    return openai.OpenAI(base_url=f"{url}/v1", api_key=made.stdout.split()[-1])


def lines() -> bytes:
    bodies = [{"model": MODEL, "messages": [{"role": "user", "content": PROMPT.format(n)}]} for n in range(ITEMS)]
    requests = [{"custom_id": f"n{n}", "method": "POST", "url": "/v1/chat/completions", "body": body} for n, body in enumerate(bodies)]
    return "\n".join(map(json.dumps, requests)).encode()


@pytest.mark.parametrize("store", ["postgres", "valkey"])
def test_a_killed_store_costs_no_call_and_no_answer(store: str, stack: Stack, tmp_path: Path, simulator: Simulator) -> None:
    up = stack.up()
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(base_url=simulator.base_url))
    applied = stack.manage("apply", str(config))
    assert applied.returncode == 0, applied.stderr
    client = client_of(stack, up["url"])
    file = client.files.create(file=("slow.jsonl", lines()), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    until(lambda: simulator.calls()["total"] == ITEMS, "all calls were in the air")

    killed = psutil.Process(up["pids"][store])
    for process in [killed, *killed.children(recursive=True)]:
        if process.is_running():
            os.kill(process.pid, signal.SIGKILL)
    killed.wait(10)

    def is_completed() -> bool:
        try:
            return client.batches.retrieve(batch.id).status == "completed"
        except openai.APIError:
            return False  # the store is being started again

    until(is_completed, "the batch completed", seconds=120, pause=0.5)
    calls = simulator.calls()
    assert (calls["total"], calls["repeated"]) == (ITEMS, 0)
    with psycopg.connect(up["database_url"]) as connection:
        assert connection.execute("SELECT count(*), sum(losses) FROM jobs_item WHERE state = 'done'").fetchone() == (ITEMS, 0)
        assert connection.execute("SELECT count(*), count(DISTINCT item_id) FROM spend_charge").fetchone() == (ITEMS, ITEMS)
    assert stack.manage("status").returncode == 0
