"""Schemathesis against the real platform: every operation of both APIs, by example, at the edges, at random and in sequence.

Nothing may answer 500 or more, nothing may answer what the schema doesn't tell, and what the schema tells must be so. `make fuzz` tries
a fixed selection, then goes on for FUZZ_SECONDS with a seed of its own, which it prints.
"""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import requests
from django.conf import settings

from tests.jobs.calls.callers import make_callable, make_secret
from tests.journeys.examples import example_model
from tests.journeys.live import Live, running_parts

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fuzz]

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance"
PHASES = {"examples", "coverage", "fuzzing", "stateful"}
FIXED = ("--max-examples", "3", "--generation-deterministic")
# A stream that lasts as long as its job is nothing for a fuzzer; tests/jobs/views/test_events.py tries it.
STREAM = "watch_job"


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    # The fuzzer is hasty on purpose.
    monkeypatch.setenv("AIPLATFORM_API_READS_PER_MINUTE", "0")
    monkeypatch.setenv("AIPLATFORM_API_WRITES_PER_MINUTE", "0")
    monkeypatch.setenv("AIPLATFORM_STORAGE", settings.STORAGES["default"]["OPTIONS"]["location"])
    with running_parts(tmp_path, "web", "exec-interactive", "ingest") as found:
        yield found


def fuzz(live: Live, folder: Path, *options: str) -> Counter[str]:
    """How many requests were made in each phase; what a check finds fails the test."""
    report = folder / "report.ndjson"
    command = [
        *(str(Path(sys.executable).parent / "schemathesis"), "run", f"{live.url}/api/schema/?format=json"),
        *("--header", f"Authorization: Bearer {make_secret()}", "--checks", CHECKS, "--continue-on-failure", "--no-color"),
        *("--request-timeout", "30", "--report-ndjson-path", str(report), *options),
    ]
    done = subprocess.run(command, cwd=folder, env=dict(os.environ), capture_output=True, text=True, check=False)
    sys.stdout.write(done.stdout[done.stdout.find("=== SUMMARY") :])
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    requests_by_phase: Counter[str] = Counter()
    for line in report.read_bytes().splitlines():
        scenario = orjson.loads(line).get("ScenarioFinished")
        if scenario:
            made = scenario["recorder"].get("interactions", {}).values()
            requests_by_phase[scenario["phase"]] += len(made)
            assert [entry["request"] for entry in made if entry.get("response") and entry["response"]["status_code"] >= 500] == []
    return requests_by_phase


def schema_of(live: Live) -> dict[str, Any]:
    schema: dict[str, Any] = requests.get(f"{live.url}/api/schema/", params={"format": "json"}, timeout=60).json()
    make_callable(example_model(schema), base_url=live.provider_url)
    return schema


@pytest.mark.timeout(200)
def test_both_apis_keep_to_their_schema(live: Live, tmp_path: Path) -> None:
    schema_of(live)
    made = fuzz(live, tmp_path, "--exclude-operation-id", STREAM, *FIXED)
    assert set(made) == PHASES
    assert made.total() > 500, made


@pytest.mark.timeout(0)
def test_both_apis_keep_to_their_schema_for_long(live: Live, tmp_path: Path) -> None:
    schema_of(live)
    seconds = os.environ.get("FUZZ_SECONDS", "600")
    made = fuzz(live, tmp_path, "--exclude-operation-id", STREAM, "--max-time", seconds, "--generation-database", "none")
    sys.stdout.write(f"{made.total():,} requests: {dict(made)}\n")
    assert set(made) == PHASES
