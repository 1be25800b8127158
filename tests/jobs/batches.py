"""Batches for tests: an input file, its lines, a job of it, and what comes out."""

import io
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from apps.accounts.models import Workspace
from apps.files.actions import create_file
from apps.files.models import File
from apps.files.queries import open_file
from apps.jobs.actions.submit_batch import submit_batch
from apps.jobs.actions.validate_job import validate_job
from apps.jobs.domain.lifecycle import OPEN_ITEM_STATES, ItemState
from apps.jobs.models import Item, Job
from apps.lib.ids import uuid7
from apps.providers.models import Model, Provider, Target
from apps.traces.actions import store_bodies
from apps.traces.domain.bodies import make_body
from tests.jobs.rows import make_workspace

CHAT = "/v1/chat/completions"
# Yesterday at noon: files are not kept for ever.
NOW = (datetime.now(UTC) - timedelta(days=1)).replace(hour=12, minute=0, second=0, microsecond=0)


def clock() -> datetime:
    return NOW


def make_model(name: str = "small") -> Model:
    model = Model.objects.get_or_create(name=name)[0]
    provider = Provider.objects.get_or_create(name="nowhere", defaults={"base_url": "http://127.0.0.1:1/v1"})[0]
    Target.objects.get_or_create(model=model, provider=provider, upstream_model=name)
    return model


def input_line(custom_id: str, **changes: Any) -> dict[str, Any]:
    body = {"model": "small", "messages": [{"role": "user", "content": custom_id}]}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body} | changes


def jsonl(lines: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def make_input_file(content: bytes, *, workspace: Workspace | None = None, purpose: str = "batch") -> File:
    return create_file(
        workspace_id=(workspace or make_workspace()).id,
        api_key_id=None,
        purpose=purpose,
        filename="input.jsonl",
        content=io.BytesIO(content),
        expires_after_seconds=None,
        now=NOW,
    )


def submit(content: bytes, **values: Any) -> Job:
    """A batch of `content`, waiting to be validated."""
    make_model()
    workspace = make_workspace()
    file = make_input_file(content, workspace=workspace)
    request = {"input_file_id": file.public_id, "endpoint": CHAT, "completion_window": "24h"}
    return submit_batch(workspace_id=workspace.id, api_key_id=None, values=request | values, now=NOW)


def validated(content: bytes, **values: Any) -> Job:
    """A batch of `content` after its validation."""
    job = submit(content, **values)
    validate_job(job_id=job.id, clock=clock)
    job.refresh_from_db()
    return job


def file_lines(file_id: UUID | None) -> list[dict[str, Any]]:
    if file_id is None:
        return []
    with open_file(file_id) as stream:
        return [json.loads(line) for line in stream]


def end_item(item: Item, *, answer: bytes | None = None, **values: Any) -> None:
    """The item as settle leaves it: done with `answer`, unless `values` say otherwise."""
    body = make_body(item.workspace_id, answer) if answer is not None else None
    store_bodies([body] if body else [])
    ended = {"state": ItemState.DONE, "status_code": 200, "run_id": uuid7(), "ended_at": NOW} | values
    Item.objects.filter(id=item.id).update(answer_body_id=body.id if body else None, **ended)


def answer_all(job: Job) -> None:
    """Every open item of `job` is done."""
    for item in Item.objects.filter(job=job, state__in=OPEN_ITEM_STATES):
        end_item(item, answer=json.dumps({"echo": item.custom_id}).encode())
