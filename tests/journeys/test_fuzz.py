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
from django.utils import timezone

from apps.accounts.domain.keys import WORKSPACE_SCOPES, Scope, prefix_of
from apps.accounts.models import ApiKey
from tests.factories.accounts import make_workspace
from tests.factories.alerts import make_alert
from tests.factories.conversations import make_conversation, make_profile
from tests.factories.knowledge import make_collection, make_document, make_snapshot, upload
from tests.factories.prompts import make_prompt, make_version
from tests.factories.providers import make_model, make_provider
from tests.factories.recipes import make_recipe
from tests.jobs.calls.callers import make_callable, make_secret
from tests.journeys.examples import example_model
from tests.journeys.fuzz_workspace import Filler, with_real_examples
from tests.journeys.fuzzing import CHECKS, PHASES, find_told, run_schemathesis
from tests.journeys.live import Live, running_parts
from tests.spend.purses import make_budget

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
    # One that answers for nobody may be paused without harm to the others' work.
    provider = make_provider("idle")
    target = make_model("idle", provider, is_enabled=False).targets.get()
    ids |= {"provider_id": [provider.public_id], "target_id": [target.public_id]}
    ids |= {"alert_id": [make_alert().public_id]}
    prompt = make_prompt(make_workspace(), name="fuzzed")
    make_version(prompt, is_published=False)
    ids |= {"prompt_id": [prompt.public_id]}
    ids |= {"recipe_id": [make_recipe(make_workspace()).public_id], "position": ["1"]}
    talks = [make_conversation(make_workspace(), model_name=model).public_id for _ in range(5)]
    ids |= {"conversation_id": talks[:1], "doomed_conversation_id": talks[1:]}
    collection = make_collection(make_workspace(), name="fuzzed")
    read = make_document("Money is paid back within fourteen days.", collection=collection).document
    doomed = [upload(f"Text {n}.", collection=collection, name=f"{n}.txt").document.public_id for n in range(4)]
    doomed_collections = [make_collection(make_workspace(), name=f"doomed-{n}").public_id for n in range(4)]
    ids |= {"doomed_collection_id": doomed_collections}
    ids |= {"collection_id": [collection.public_id], "document_id": [read.public_id], "doomed_document_id": doomed}
    ids |= {"snapshot_id": [make_snapshot(collection).public_id]}
    ids |= {"profile_id": [make_profile(make_workspace(), "ada").public_id], "key": ["name", "language"], "doomed_key": ["name", "city"]}
    ids |= {"doomed_profile_id": [make_profile(make_workspace(), f"doomed-{n}").public_id for n in range(4)]}
    # A fuzzed cap bounds nobody's work.
    ids |= {"budget_id": [make_budget("feature", workspace=make_workspace(), subject="idle", period="month").public_id]}
    filler.close()
    return {"url": live.url, "secret": secret, "schema": with_real_examples(schema, ids), "ids": ids}


def report(title: str, found: str) -> None:
    sys.stdout.write(f"\n{title}: {found}\n")


@pytest.mark.timeout(1800)
def test_both_apis_keep_to_their_schema(live: Live, tmp_path: Path) -> None:
    found = run_schemathesis(tmp_path / "fuzz", *FIXED, **prepare(live, make_secret()))
    report("Fixed", found.told())
    assert found.failures == []
    assert max(found.statuses) < 500
    assert {phase for phase, made in found.by_phase.items() if made} == set(PHASES)
    assert found.by_phase.total() > 1000
    assert found.statuses[200] > found.by_phase.total() / 10


@pytest.mark.parametrize("phases", [("fuzzing",), pytest.param(("coverage", "fuzzing"), marks=pytest.mark.fuzz)])
@pytest.mark.timeout(1800)
def test_keys_that_are_wrong_revoked_or_another_workspaces_are_told_nothing(phases: tuple[str, ...], live: Live, tmp_path: Path) -> None:
    secret = make_secret()
    ready = prepare(live, secret)
    # Names of models, providers and their targets belong to all; what is remembered goes by ordinary words.
    theirs = {
        one for name, ids in ready["ids"].items() if name not in {"name", "provider_id", "target_id", "key", "doomed_key"} for one in ids
    }
    revoked = make_secret()
    ApiKey.objects.filter(prefix=prefix_of(revoked)).update(revoked_at=timezone.now())
    keys = {"wrong": "aip-" + "w" * 43, "revoked": revoked, "foreign": make_secret("other", *WORKSPACE_SCOPES)}
    # Most of what such a key asks for is refused, however good it is.
    checks = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")
    for who, key in keys.items():
        folder = tmp_path / who
        options = ("--max-examples", "4", "--generation-deterministic")
        found = run_schemathesis(folder, *options, checks=checks, phases=phases, **(ready | {"secret": key}))
        told = find_told(folder, theirs)
        report(f"A key that is {who}", f"{found.told()}; ids of others told {len(told)}")
        assert (found.failures, told) == ([], [])
        assert found.by_phase.total() > 3 * found.operations
        assert who == "foreign" or min(found.statuses) >= 400
        # What is told would be found.
        assert find_told(folder, {"not_found" if who == "foreign" else "invalid_api_key"})


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
