"""Postgres or Valkey is killed while calls are in the air: every answer is kept, no call is made again, nothing counts as lost."""

import os
import signal

import openai
import psutil
import psycopg
import pytest

from tests.chaos import traffic
from tests.chaos.stack import Stack
from tests.chaos.workers import until
from tests.simulated import Simulator

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]
ITEMS = 25
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


@pytest.mark.parametrize("store", ["postgres", pytest.param("valkey", marks=pytest.mark.long)])
def test_a_killed_store_costs_no_call_and_no_answer(store: str, stack: Stack, simulator: Simulator) -> None:
    up = stack.up()
    traffic.apply(stack, CONFIG.format(base_url=simulator.base_url))
    client = traffic.client_of(stack, up["url"], max_retries=2)
    file = client.files.create(file=("slow.jsonl", traffic.lines("slow", map(PROMPT.format, range(ITEMS)))), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    until(lambda: simulator.calls()["total"] == ITEMS, "all calls were in the air")

    killed = psutil.Process(up["pids"][store])
    for process in [killed, *killed.children(recursive=True)]:
        if process.is_running():
            os.kill(process.pid, signal.SIGKILL)
    killed.wait(60)

    def is_completed() -> bool:
        try:
            return client.batches.retrieve(batch.id).status == "completed"
        except openai.APIError:
            return False  # the store is being started again

    until(is_completed, "the batch completed", seconds=300, pause=0.5)
    calls = simulator.calls()
    assert (calls["total"], calls["repeated"]) == (ITEMS, 0)
    with psycopg.connect(up["database_url"]) as connection:
        assert connection.execute("SELECT count(*), sum(losses) FROM jobs_item WHERE state = 'done'").fetchone() == (ITEMS, 0)
        assert connection.execute("SELECT count(*), count(DISTINCT item_id) FROM spend_charge").fetchone() == (ITEMS, ITEMS)
    until(lambda: stack.manage("status").returncode == 0, "everything answers", pause=0.5)
