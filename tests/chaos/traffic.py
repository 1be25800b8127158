"""Batches on a stack that runs, handed in over HTTP, and how far they are."""

import io
from collections.abc import Iterable
from dataclasses import dataclass

import openai
import psycopg

from tests.chaos.stack import Stack
from tests.jobs.batches import CHAT, input_line, jsonl
from tests.simulated import Simulator

CONFIG = """
[[providers]]
name = "simulated"
base_url = "{base_url}"
total_timeout_seconds = {timeout}

[[models]]
name = "steady"
targets = [{{provider = "simulated", model = "simulated"}}]
input_usd_per_million = "1"
output_usd_per_million = "2"

[[budgets]]
scope = "platform"
name = "chaos"
period = "total"
limit_usd = "1000"
hard = true
"""
_ITEMS = """
SELECT count(*) FILTER (WHERE state = 'done'), count(*) FILTER (WHERE state = 'dead'), coalesce(sum(losses), 0) FROM jobs_item
"""


def declare(stack: Stack, simulator: Simulator, *, timeout: float = 60) -> None:
    """The simulator as the provider of the model `steady`."""
    apply(stack, CONFIG.format(base_url=simulator.base_url, timeout=timeout))


def apply(stack: Stack, config: str) -> None:
    """What an operator declares in a file."""
    file = stack.home.parent / "config.toml"
    file.write_text(config)
    applied = stack.manage("apply", str(file))
    assert applied.returncode == 0, applied.stderr


def make_key(stack: Stack) -> str:
    made = stack.manage("create_api_key", "--workspace", "chaos")
    assert made.returncode == 0, made.stderr
    return made.stdout.split()[-1]


def client_of(stack: Stack, url: str, *, max_retries: int = 0) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key=make_key(stack), max_retries=max_retries, timeout=120)


def lines(model: str, prompts: Iterable[str]) -> bytes:
    """A chat request a prompt. Different prompts, so that a call that comes twice is seen."""
    bodies = ({"model": model, "messages": [{"role": "user", "content": prompt}]} for prompt in prompts)
    return jsonl(input_line(f"n{n}", body=body) for n, body in enumerate(bodies))


def submit(client: openai.OpenAI, name: str, number: int) -> str:
    """A batch, under keys of its own: submitted again by the same name it is the same one."""
    keys = [{"Idempotency-Key": f"{name}-{what}"} for what in ("file", "batch")]
    upload = (f"{name}.jsonl", io.BytesIO(lines("steady", (f"{name}, line {n}" for n in range(number)))))
    file = client.files.create(file=upload, purpose="batch", extra_headers=keys[0])
    return client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h", extra_headers=keys[1]).id


@dataclass(frozen=True)
class Counts:
    """Items of all jobs."""

    done: int
    dead: int
    losses: int
    open_jobs: int


def count(database_url: str) -> Counts | None:
    """None while Postgres doesn't answer."""
    try:
        with psycopg.connect(database_url, connect_timeout=5) as connection:
            items = connection.execute(_ITEMS).fetchone()
            jobs = connection.execute("SELECT count(*) FROM jobs_job WHERE ended_at IS NULL").fetchone()
    except psycopg.OperationalError:
        return None
    return Counts(*items, *jobs) if items and jobs else None
