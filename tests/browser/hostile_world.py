"""A platform on which every text that a person, a program or a provider can choose is one of the payloads, sent in by the real doors."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from apps.accounts.models import Workspace
from apps.jobs.actions import finish_job, run_items, validate_job
from apps.jobs.domain.intake import ENDPOINTS
from apps.jobs.models import Job
from apps.providers.models import Provider
from tests.browser.echo import REFUSE, echoing_provider
from tests.browser.payloads import PAYLOADS
from tests.factories.accounts import make_client, make_office_client, make_user

CHAT = ENDPOINTS[0]
METADATA_PAIRS = 12
# Whose workspaces have jobs of their own.
BY_HAND = PAYLOADS[-10:]
_BOUNDARY = "b"


@dataclass
class World:
    """Who has signed in, and the ids of what the pages are about. `emails` are those that the form took."""

    office: Client
    api: Client
    jobs: dict[str, Job] = field(default_factory=dict)
    described: list[Job] = field(default_factory=list)
    emails: list[str] = field(default_factory=list)


def make_world() -> World:
    office = make_office_client(make_user("ada", is_superuser=True))
    world = World(office=office, api=make_client("acme"))
    with echoing_provider() as base_url:
        _name_everything(world, base_url)
        _submit_batches(world)
        _run_all()
    _refuse_a_batch(world)
    _change_with_reasons(world)
    _submit_by_hand(world)
    return world


def upload(api: Client, content: bytes, *, name: str, purpose: str = "batch") -> str:
    """The id of a file with exactly this name: RFC 8187 lets a form carry any."""
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n{purpose}\r\n--{_BOUNDARY}\r\n'
    part = f"Content-Disposition: form-data; name=\"file\"; filename*=UTF-8''{quote(name, safe='')}\r\n\r\n"
    body = (head + part).encode() + content + f"\r\n--{_BOUNDARY}--\r\n".encode()
    answer = api.post("/v1/files", body, content_type=f"multipart/form-data; boundary={_BOUNDARY}")
    assert answer.status_code == 200, answer.content
    return str(answer.json()["id"])


def line(custom_id: str, texts: Sequence[str], *, model: str, **body: Any) -> dict[str, Any]:
    """The first text is asked; the others stand before it, as what the system says."""
    messages = [{"role": "system", "content": text} for text in texts[1:]] + [{"role": "user", "content": texts[0]}]
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": {"model": model, "messages": messages} | body}


def jsonl(lines: Sequence[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(entry).encode() + b"\n" for entry in lines)


def _add(world: World, page: str, form: dict[str, Any]) -> bool:
    """Whether the form of this page was taken."""
    answer = world.office.post(reverse(f"admin:{page}_add"), {"reason": PAYLOADS[0]} | form)
    assert answer.status_code in {200, 302}, answer.content
    return answer.status_code == 302 or page == "accounts_apikey"


def _name_everything(world: World, base_url: str) -> None:
    acme = Workspace.objects.get(name="acme")
    no_members = {"members-TOTAL_FORMS": 0, "members-INITIAL_FORMS": 0}
    seconds = {"connect_timeout_seconds": 5, "read_timeout_seconds": 30, "total_timeout_seconds": 30}
    for number, text in enumerate(PAYLOADS):
        assert _add(world, "accounts_workspace", {"name": text, "time_zone": "UTC"} | no_members)
        assert _add(world, "accounts_apikey", {"workspace": acme.pk, "name": text, "scopes": ["files", "batches"]})
        assert _add(world, "auth_group", {"name": text})
        assert _add(world, "providers_provider", seconds | {"name": text, "kind": "openai", "base_url": base_url, "is_enabled": "on"})
        # What a quoted local part may hold is up to the standard: whatever is taken is shown.
        email = f'"{text}"@a.example'
        if _add(world, "accounts_user", {"username": f"user-{number}", "email": email, "usable_password": "false"}):
            world.emails.append(email)
    _add_models(world)


def _add_models(world: World) -> None:
    ids = {row.name: row.pk for row in Provider.objects.all()}
    for text in PAYLOADS:
        target = {"id": "", "model": "", "provider": ids[text], "upstream_model": text, "position": 0, "is_enabled": "on"}
        rows = {"targets-TOTAL_FORMS": 1, "targets-INITIAL_FORMS": 0} | {f"targets-0-{name}": value for name, value in target.items()}
        assert _add(world, "providers_model", {"name": text, "max_output_tokens": 100, "is_enabled": "on"} | rows)
        price = {"provider_id": ids[text], "upstream_model": text, "effective_from_0": "2026-01-01", "effective_from_1": "00:00"}
        assert _add(world, "spend_price", price | {"input_usd_per_million": "1", "output_usd_per_million": "2", "request_usd": "0"})


def _submit(world: World, lines: Sequence[dict[str, Any]], *, name: str, **metadata: str) -> Job:
    file_id = upload(world.api, jsonl(lines), name=name)
    request = {"input_file_id": file_id, "endpoint": CHAT, "completion_window": "24h", "metadata": metadata}
    answer = world.api.post("/v1/batches", request, content_type="application/json")
    assert answer.status_code == 200, answer.content
    return Job.objects.latest("id")


def _submit_batches(world: World) -> None:
    """Every payload as an id, a user, a feature, a prompt and an answer; as an error of the provider's; and all of them in one item."""
    text_lines = [line(text, [text, text], model=text, user=text, metadata={"feature": text}) for text in PAYLOADS]
    world.jobs["answered"] = _submit(world, text_lines, name="answers.jsonl")
    world.jobs["died"] = _submit(world, [line(text, [REFUSE + text], model=text) for text in PAYLOADS], name="refusals.jsonl")
    world.jobs["whole"] = _submit(world, [line("whole", ["\n".join(PAYLOADS), *PAYLOADS], model=PAYLOADS[0])], name="whole.jsonl")


def _run_all() -> None:
    for job in Job.objects.all():
        validate_job(job_id=job.id, clock=clock)
    run_items(lane="default", job_id=None, replaces=None, is_isolating=False, clock=clock)
    for job in Job.objects.all():
        finish_job(job_id=job.id, clock=clock)


def _refuse_a_batch(world: World) -> None:
    lines = [line(f"line-{number}", ["a"], model=PAYLOADS[0]) | {"url": text} for number, text in enumerate(PAYLOADS)]
    world.jobs["invalid"] = _submit(world, lines, name="invalid.jsonl")
    validate_job(job_id=world.jobs["invalid"].id, clock=clock)


def _change_with_reasons(world: World) -> None:
    """A job for each payload as file name, feature and metadata; paused and resumed for a reason."""
    for number, text in enumerate(PAYLOADS):
        told = [PAYLOADS[(number + step) % len(PAYLOADS)] for step in range(METADATA_PAIRS)]
        job = _submit(world, [line("a", ["a"], model=PAYLOADS[0])], name=f"{text}.jsonl", feature=text, **{value: value for value in told})
        validate_job(job_id=job.id, clock=clock)
        answer = world.office.post(reverse("admin:jobs_job_pause", args=[job.pk]), {"reason": text})
        assert answer.status_code == 302
        world.described.append(job)


def clock() -> datetime:
    return datetime.now(UTC)


def _submit_by_hand(world: World) -> None:
    """Jobs of the last workspaces, the newest there are: home shows ten."""
    content = jsonl([line("a", ["a"], model=PAYLOADS[0])])
    for text in BY_HAND:
        form = {"workspace": Workspace.objects.get(name=text).pk, "lane": "bulk", "step": "submit"}
        answer = world.office.post(reverse("admin:jobs_job_new"), form | {"upload": SimpleUploadedFile("a.jsonl", content)})
        assert answer.status_code == 302, answer.content
