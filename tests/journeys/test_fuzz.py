"""Schemathesis against the real platform: every operation of both APIs, by example, at the edges, at random and in sequence.

Nothing may answer 500 or more, nothing may answer what the schema doesn't tell, and what the schema tells must be so: what it allows is
taken, what it forbids is refused. A fixed selection is part of the suite; `make fuzz` goes on for longer.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from django.conf import settings

from apps.accounts.domain.keys import Scope
from tests.jobs.calls.callers import make_callable, make_secret
from tests.journeys.examples import example_model
from tests.journeys.fuzz_workspace import Filler, with_real_examples
from tests.journeys.fuzzing import CHECKS, PHASES, run_schemathesis
from tests.journeys.live import Live, running_parts

pytestmark = pytest.mark.django_db(transaction=True)

FIXED = ("--max-examples", "1", "--generation-deterministic")


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    # The fuzzer is hasty on purpose.
    monkeypatch.setenv("AIPLATFORM_API_READS_PER_MINUTE", "0")
    monkeypatch.setenv("AIPLATFORM_API_WRITES_PER_MINUTE", "0")
    monkeypatch.setenv("AIPLATFORM_STORAGE", settings.STORAGES["default"]["OPTIONS"]["location"])
    with running_parts(tmp_path, "web", "exec-interactive", "exec", "ingest", "control") as found:
        yield found


def prepare(live: Live, secret: str) -> dict[str, Any]:
    """What a run needs besides its options: the schema with examples that are there, and ids."""
    schema = requests.get(f"{live.url}/api/schema/", params={"format": "json"}, timeout=60).json()
    model = example_model(schema)
    make_callable(model, base_url=live.provider_url)
    filler = Filler(live.url, secret, model)
    ids = filler.fill()
    filler.close()
    return {"url": live.url, "secret": secret, "schema": with_real_examples(schema, ids), "ids": ids}


def report(title: str, found: str) -> None:
    sys.stdout.write(f"\n{title}: {found}\n")


@pytest.mark.timeout(400)
def test_both_apis_keep_to_their_schema(live: Live, tmp_path: Path) -> None:
    found = run_schemathesis(tmp_path / "fuzz", *FIXED, **prepare(live, make_secret()))
    report("Fixed", found.told())
    assert found.failures == []
    assert max(found.statuses) < 500
    assert {phase for phase, made in found.by_phase.items() if made} == set(PHASES)
    assert found.by_phase.total() > 1000
    assert found.statuses[200] > found.by_phase.total() / 10


@pytest.mark.fuzz
@pytest.mark.timeout(0)
def test_both_apis_keep_to_their_schema_for_long(live: Live, tmp_path: Path) -> None:
    seconds, examples = os.environ.get("FUZZ_SECONDS", "600"), os.environ.get("FUZZ_EXAMPLES", "25")
    ready = prepare(live, make_secret())
    options = ("--max-examples", examples, "--generation-database", "none")
    found = run_schemathesis(tmp_path / "deep", *options, "--seed", os.environ.get("FUZZ_SEED", "1"), **ready)
    report(f"{examples} examples each", found.told())
    assert found.failures == []
    found = run_schemathesis(tmp_path / "long", *options, "--max-time", seconds, **ready)
    report(f"For {seconds} s with chance", found.told())
    assert found.failures == []


@pytest.mark.fuzz
@pytest.mark.timeout(0)
def test_keys_of_one_scope_are_answered_as_the_schema_says(live: Live, tmp_path: Path) -> None:
    ready = prepare(live, make_secret())
    # Most of what such a key asks for is refused, however good it is.
    checks = tuple(name for name in CHECKS if name not in {"positive_data_acceptance", "ensure_resource_availability"})
    for scope in Scope:
        secret = make_secret("acme", scope)
        found = run_schemathesis(tmp_path / scope, *FIXED, checks=checks, **(ready | {"secret": secret}))
        report(f"A key with the scope {scope}", found.told())
        assert found.failures == []
        assert found.statuses[403] > 100
