"""Schemathesis as the tests run it: which checks, with which values, and what it did."""

import base64
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

PHASES = ("examples", "coverage", "fuzzing", "stateful")
# Not object_level_authorization: tests/accounts/test_foreign_ids.py asks for each route with another workspace's ids.
CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance"),
    *("response_schema_conformance", "negative_data_rejection", "positive_data_acceptance", "missing_required_header"),
    *("unsupported_method", "allow_header_conformance", "use_after_free", "ensure_resource_availability", "ignored_auth"),
)
# What is well-formed may still be refused with 400, for reasons that no schema can tell.
_REFUSALS = {
    "a cursor that no list gave out": (
        "list_alerts",
        "list_prompts",
        "list_prompt_versions",
        "list_recipes",
        "list_conversations",
        "read_history",
        "list_collections",
        "list_profiles",
        "list_memory_events",
        "list_document_versions",
        "list_budgets",
        "list_jobs",
        "list_job_documents",
        "list_items",
        "list_native_files",
        "list_native_models",
        "list_keys",
        "list_providers",
        "list_webhooks",
        "list_deliveries",
    ),
    "a file or a part that is not (any more) there, or too long": ("create_batch", "add_upload_part", "complete_upload"),
    "expires_after[anchor] without expires_after[seconds]": ("create_file",),
    "no group, job or ids: one must be named": ("requeue_dead_items", "discard_dead_items"),
    "an address that is not of the public internet": ("create_webhook", "change_webhook"),
    "headers that do not go together, or not with this endpoint": (
        *("create_chat_completion", "create_completion", "create_embedding", "create_response"),
    ),
    "a key that would have expired already": ("create_key",),
    "a text without its variables, a variable that nothing uses, a model that is not there, a version that is not": (
        *("save_prompt_draft", "publish_prompt"),
    ),
    "a recipe, a collection or documents that are not there, or documents and a filter together": ("create_document_job",),
    "a field that the kind of recipe has no use for, or wants and has not; a model that is not there": ("declare_recipe",),
    "'after' and 'limit' with what is downloaded whole": ("read_job_results",),
    "a text of blanks alone, a job or a document that has no answer": ("correct_answer",),
    "a model that is not there, a number of dimensions that no graph is for": ("create_collection",),
    "another name than the collection's, or the person's": ("delete_collection", "erase_profile"),
    "another name than the collection's": ("delete_collection",),
    "a model or a collection that is not there, a version that is yet to come, a state that is none": (
        *("create_conversation", "change_conversation", "fork_conversation", "create_turn"),
    ),
    "a revision that is yet to come, documents that are not there": ("search_collection",),
    "a collection that is not there, metadata that is no JSON, a file without a name; a cursor": ("upload_documents", "list_documents"),
    "a name that the scope has no use for, or wants and has not": ("create_budget",),
    "nothing to top up by": ("top_up_budget",),
    "a period and a moment together, or moments in the wrong order; a model, a provider or an id that nobody knows; a cursor": (
        *("retrieve_spend", "list_spend_parts", "export_spend_parts", "read_spend_course", "export_spend_course", "list_spend_movers"),
    ),
}
_REPORT = "report.ndjson"
_FINE = ["2xx", "400", "401", "403", "404", "409", "429"]
# Operations that take something away: they get ids of their own, which nobody else asks for.
_DELETES = {
    "file_id": ("delete_file", "delete_native_file"),
    "webhook_id": ("delete_webhook",),
    "document_id": ("delete_document",),
    "collection_id": ("delete_collection",),
    "profile_id": ("erase_profile",),
    "key": ("forget_memory",),
    "conversation_id": ("delete_conversation",),
}


@dataclass(frozen=True)
class Findings:
    """What a run of schemathesis did."""

    operations: int
    by_phase: Counter[str]
    statuses: Counter[int]
    failures: list[str]

    def told(self) -> str:
        """A line for people."""
        phases = ", ".join(f"{name} {self.by_phase[name]:,}" for name in PHASES)
        statuses = ", ".join(f"{count:,} x {status}" for status, count in sorted(self.statuses.items()))
        return f"{self.operations} operations, {self.by_phase.total():,} requests ({phases}), {len(self.failures)} failures; {statuses}"


def run_schemathesis(
    folder: Path,
    *options: str,
    url: str,
    schema: dict[str, Any],
    secret: str,
    ids: dict[str, list[str]],
    checks: tuple[str, ...] = CHECKS,
    phases: tuple[str, ...] = PHASES,
) -> Findings:
    """Fuzz every operation of `schema` at `url`; most of the time a path names one of `ids`, by the parameter's name."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "schema.json").write_bytes(orjson.dumps(schema))
    (folder / "schemathesis.toml").write_text("\n".join(f"{name} = {_toml(value)}" for name, value in _configuration(ids).items()) + "\n")
    report = folder / _REPORT
    command = [
        *(str(Path(sys.executable).parent / "schemathesis"), "--config-file", "schemathesis.toml", "run", "schema.json", "--url", url),
        *("--header", f"Authorization: Bearer {secret}", "--checks", ",".join(checks), "--phases", ",".join(phases)),
        *("--continue-on-failure", "--no-color", "--request-timeout", "120", "--report-ndjson-path", str(report)),
        # NUL is in no schema, and refused everywhere: tests/lib/test_hostile_requests.py.
        *("--generation-allow-x00", "false", *options),
    ]
    done = subprocess.run(command, cwd=folder, env=dict(os.environ), capture_output=True, text=True, check=False)
    findings = _read(report, schema, "coverage" if "coverage" in phases else phases[0])
    assert (done.returncode == 0) == (findings.failures == []), done.stdout[-8000:] + done.stderr[-4000:]
    if findings.failures:
        sys.stdout.write(done.stdout[done.stdout.find("=== FAILURES") :])
    return findings


def _configuration(ids: dict[str, list[str]]) -> dict[str, Any]:
    chosen: dict[str, Any] = {f"path.{name}": {"dictionary": name, "probability": 0.8} for name in ids}
    chosen["body.input_file_id"] = {"dictionary": "file_id", "probability": 0.8}
    operations: list[dict[str, Any]] = [
        {"include-operation-id": list(names), "parameters": {f"path.{name}": {"dictionary": f"doomed_{name}", "probability": 0.8}}}
        for name, names in _DELETES.items()
    ]
    operations += [
        {"include-operation-id": list(names), "checks": {"positive_data_acceptance": {"expected-statuses": _FINE}}}
        for names in _REFUSALS.values()
    ]
    # Of a prompt that was just made nothing is published: what isn't there is the version that is to be archived.
    unpublished = {"positive_data_acceptance": {"expected-statuses": _FINE}, "ensure_resource_availability": {"enabled": False}}
    operations.append({"include-operation-id": ["archive_prompt"], "checks": unpublished})
    # The event stream lasts as long as its job; the first event comes at once. test_api_examples.py reads one to its end.
    operations.append({"include-operation-id": ["watch_job"], "max-stream-events": 1, "request-timeout": 60})
    dictionaries = {name: {"values": values} for name, values in ids.items()}
    return {"dictionaries": dictionaries, "parameters": chosen, "operations": operations}


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {_toml(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(inner) for inner in value) + "]"
    return json.dumps(value)


def _read(report: Path, schema: dict[str, Any], whole: str) -> Findings:
    """The report that schemathesis wrote, counted by us: what it says of itself is not taken on trust. The phase `whole` has met all."""
    by_phase, statuses = Counter[str](), Counter[int]()
    labels, failures = set(), []
    for line in report.read_bytes().splitlines():
        ended = orjson.loads(line).get("ScenarioFinished")
        if not ended:
            continue
        recorder = ended["recorder"]
        made = recorder.get("interactions", {})
        by_phase[ended["phase"]] += len(made)
        labels |= {recorder["label"]} if ended["phase"] == whole else set()
        statuses.update(entry["response"]["status_code"] for entry in made.values() if entry.get("response"))
        failures += [f"{recorder['label']}: no answer" for entry in made.values() if not entry.get("response")]
        for checks in recorder.get("checks", {}).values():
            failures += [f"{recorder['label']}: {check['name']}" for check in checks if check["status"] == "failure"]
    told = {f"{method.upper()} {path}" for path, methods in schema["paths"].items() for method in methods}
    assert labels == told, labels ^ told
    return Findings(len(labels), by_phase, statuses, failures)


def find_told(folder: Path, words: Collection[str]) -> list[str]:
    """Where an answer of the run in this folder holds one of these words that its request did not bring along."""
    return [
        f"{label}: {word}"
        for label, request, content in _exchanges(folder / _REPORT)
        for word in words
        if word.encode() in content and word.encode() not in request
    ]


def _exchanges(report: Path) -> Iterator[tuple[str, bytes, bytes]]:
    """Each request as it was sent, and what was answered."""
    for line in report.read_bytes().splitlines():
        ended = orjson.loads(line).get("ScenarioFinished")
        for made in ended["recorder"].get("interactions", {}).values() if ended else ():
            if made.get("response"):
                asked, answer = made["request"], made["response"]
                yield ended["recorder"]["label"], asked["uri"].encode() + _bytes(asked.get("body")), _bytes(answer["content"])


def _bytes(value: Any) -> bytes:
    return base64.b64decode(value["$base64"]) if isinstance(value, dict) else b""
