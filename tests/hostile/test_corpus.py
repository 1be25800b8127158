"""Every case of the corpus at its door of one live platform: a clear refusal or a clean success, nothing left behind, nothing grown.

`pytest -s tests/hostile/test_corpus.py` prints the table of what was sent where and what was said.
"""

import csv
import io
import json
import re
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import Workspace
from apps.files.actions import start_upload
from apps.files.models import File, Part, Upload, UploadStatus
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import Item, Job
from apps.lib.cursors import write_cursor
from tests.factories.accounts import make_api_key, make_user, make_workspace
from tests.factories.files import make_file, stored_names
from tests.factories.jobs import make_job
from tests.hostile.cases import FORM_TYPE, FileCase, Known, RequestCase, form, once, part, request
from tests.hostile.client import Answer, send
from tests.hostile.corpus import REQUESTS
from tests.hostile.files import FILES, line
from tests.hostile.office import new_job
from tests.hostile.wires import NO_HTTP
from tests.jobs.calls.callers import make_callable
from tests.journeys.live import Live, running_parts

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(400)]
MOST_GROWTH_BYTES = 50 << 20
SCRIPT = "<script>alert(1)"
AT_ONCE = 4
ENDED = {"completed", "failed", "expired", "cancelled"}


@dataclass
class Platform:
    """A live platform, what only it knows, and what went wrong."""

    live: Live
    storage: Path
    known: Known
    rows: list[tuple[str, ...]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def send(self, case: RequestCase) -> Answer:
        return send(case, port=urlsplit(self.live.url).port or 0, known=self.known)

    def ask(self, door: str, **values: Any) -> Any:
        """The decoded answer to a good request."""
        answer = self.send(request(door, "", "", **values))
        assert answer.status == 200, (door, answer)
        return json.loads(answer.text)

    def growth(self, before: dict[str, int]) -> dict[str, int]:
        return {name: size - before[name] for name, size in self.sizes().items()}

    def sizes(self) -> dict[str, int]:
        """What the processes of each part hold in memory, its children included."""
        found = {}
        for name in ("web", "ingest"):
            parent = psutil.Process(self.live.pids[name])
            found[name] = sum(process.memory_info().rss for process in (parent, *parent.children(recursive=True)))
        return found

    def note(self, case: object, door: str, answer: str, told: str, *wrong: str) -> None:
        self.rows.append((str(case), door, answer, told))
        self.failures += [f"{case}: {text}" for text in wrong if text]


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Platform]:
    storage = Path(settings.STORAGES["default"]["OPTIONS"]["location"])
    monkeypatch.setenv("AIPLATFORM_STORAGE", str(storage))
    ours, theirs = make_workspace("acme"), make_workspace("theirs")
    browser = Client()
    browser.force_login(make_user("root", is_superuser=True))
    known = {
        "key": make_api_key(ours)[1],
        "session": browser.cookies["sessionid"].value,
        "csrf": "0123456789abcdef" * 2,
        "workspace": str(ours.id),
        "theirs_file": make_file(workspace=theirs, expires_after_seconds=1).public_id,
        "theirs_upload": _upload(theirs),
        "theirs_batch": make_job(workspace=theirs).public_id,
        "their_cursor": write_cursor("KeysView:-created_at,-id", ["2026-01-01T00:00:00+00:00", "0" * 32]),
        "upload": _upload(ours),
    }
    Job.objects.update(status=JobStatus.COMPLETED)
    with running_parts(tmp_path, "web", "ingest", "exec") as live:
        make_callable("small", base_url=live.provider_url)
        yield Platform(live, storage, known | {"host": urlsplit(live.url).netloc})


def _upload(workspace: Workspace) -> str:
    values = {"bytes": 5, "filename": "a.jsonl", "mime_type": "text/plain", "purpose": "batch"}
    return start_upload(workspace_id=workspace.id, api_key_id=make_api_key(workspace)[0].id, values=values, now=timezone.now()).public_id


def test_the_corpus(platform: Platform) -> None:
    platform.known |= run_a_normal_batch(platform)
    warm_up(platform)
    before = platform.sizes()
    run_the_corpus(platform)
    growth = platform.growth(before)
    print_table(platform, growth)
    assert platform.failures == [], "\n".join(platform.failures)
    if max(growth.values()) >= MOST_GROWTH_BYTES:
        # The biggest ones may have met, and what that took stays with a process. A leak grows each time.
        before = platform.sizes()
        run_the_corpus(platform)
        growth = platform.growth(before)
    assert max(growth.values()) < MOST_GROWTH_BYTES, growth
    nothing_runs_as_script(platform)
    exports_are_harmless(platform)
    nothing_is_half_done(platform)
    run_a_normal_batch(platform)
    nothing_stays(platform)


def run_the_corpus(platform: Platform) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        batches = list(pool.map(lambda file: submit(platform, file), FILES))
        list(pool.map(lambda case: judge_request(platform, case), REQUESTS))
    for file, batch_id in zip(FILES, batches, strict=True):
        judge_batch(platform, file, until_ended(platform, batch_id))
    until_all_ended()


def run_a_normal_batch(platform: Platform) -> Known:
    """A batch of three requests from upload to output; its ids."""
    body = form(part(b"purpose", b"batch"), part(b"file", line("a") + line("b") + line("c"), filename=b"a.jsonl"))
    file = platform.ask("POST /v1/files", body=body, content_type=FORM_TYPE)
    batch = until_ended(platform, start_batch(platform, file["id"]))
    assert (batch["status"], batch["request_counts"]) == ("completed", {"total": 3, "completed": 3, "failed": 0})
    output = platform.send(request("GET /v1/files/{id}/content", "", "", target=f"/v1/files/{batch['output_file_id']}/content"))
    assert [json.loads(text)["custom_id"] for text in output.text.splitlines()] == ["a", "b", "c"]
    return {"file": file["id"], "batch": batch["id"]}


def warm_up(platform: Platform) -> None:
    """What a process loads when a page or a form is asked for the first time is no growth."""
    for case in REQUESTS[:: len(REQUESTS) // 60]:
        platform.send(case)
    for name, content in (("a.csv", once(b"text\nhello\n")), ("a.jsonl", once(line()))):
        platform.send(new_job("", "", content=content, filename=name))
    nothing_runs_as_script(platform)


def start_batch(platform: Platform, file_id: str) -> str:
    body = json.dumps({"input_file_id": file_id, "endpoint": "/v1/chat/completions", "completion_window": "24h"}).encode()
    return str(platform.ask("POST /v1/batches", body=body)["id"])


def submit(platform: Platform, file: FileCase) -> str:
    def body() -> Iterator[bytes]:
        yield part(b"purpose", b"batch") + part(b"file", b"", filename=b"a.jsonl")[: -len(b"\r\n")]
        yield from file.make()
        yield b"\r\n" + form()

    return start_batch(platform, platform.ask("POST /v1/files", body=body, content_type=FORM_TYPE)["id"])


def until_ended(platform: Platform, batch_id: str) -> Any:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        batch = platform.ask("GET /v1/batches/{id}", target=f"/v1/batches/{batch_id}")
        if batch["status"] in ENDED:
            return batch
        time.sleep(0.05)
    pytest.fail(f"It never ended: {batch}")


def until_all_ended() -> None:
    """What the back office submitted as well."""
    until = time.monotonic() + 120
    while Job.objects.exclude(status__in=ENDED).exists():
        assert time.monotonic() < until, list(Job.objects.exclude(status__in=ENDED).values("id", "kind", "status"))
        time.sleep(0.05)


def judge_request(platform: Platform, case: RequestCase) -> None:
    answer = platform.send(case)
    shown = "" if answer.status is None else str(answer.status)
    if answer.status is None or (case.status is None and answer.status < 500):
        # What is no HTTP is answered and hung up on, and the hanging up may overtake the answer.
        is_right = case.status is None or case.told == NO_HTTP
        platform.note(case.name, case.door, shown, case.told, "" if is_right else "no answer")
        return
    said = _said(answer)
    wrong = [f"{answer.status} in place of {case.status}: {said[-300:]}"] if answer.status != case.status else []
    wrong += [f"{piece!r} is not in {said[:300]}" for piece in (case.told, case.place) if piece not in said]
    wrong += ["markup came back as it was sent"] if SCRIPT in answer.text and "json" not in answer.headers.get("content-type", "") else []
    platform.note(case.name, case.door, shown, f"{case.place} {case.told}" if wrong else " ".join(said.split()), *wrong)
    if case.door.startswith("POST /admin") and case.name == "formulas":
        platform.known["formulas"] = answer.headers.get("location", "")


def _said(answer: Answer) -> str:
    """Message and parameter of an error in either API's shape; what a page alarms of; the text of anything else."""
    if answer.headers.get("content-type", "").startswith("text/html"):
        alarms = re.findall(r'<div class="box" role="alert">(.*?)</div>|<p class="alarm" role="alert">(.*?)</p>', answer.text, re.DOTALL)
        return re.sub("<[^>]*>", "", " ".join(map("".join, alarms))) or answer.text
    try:
        told = json.loads(answer.text)
    except ValueError:
        return answer.text
    if isinstance(told, dict) and "error" in told:
        return f"{told['error']['param']}: {told['error']['message']}"
    if isinstance(told, dict) and "detail" in told:
        return f"{told.get('param')}: {told['detail']}"
    return answer.text


def judge_batch(platform: Platform, file: FileCase, batch: Any) -> None:
    errors = batch["errors"]["data"] if batch["errors"] else []
    if file.told is None:
        platform.note(file.name, "batch file", batch["status"], "taken", "" if batch["status"] == "completed" else str(errors[:2]))
        return
    first = errors[0] if errors else {"line": None, "code": batch["status"], "message": ""}
    is_right = (first["code"], first["line"]) == (file.code, file.line) and file.told in first["message"]
    place = "the file" if first["line"] is None else f"line {first['line']}"
    platform.note(
        file.name, "batch file", f"{batch['status']}: {first['code']}", f"{place}: {first['message'][:80]}", "" if is_right else str(first)
    )


def print_table(platform: Platform, growth: dict[str, int]) -> None:
    for name, door, answer, told in platform.rows:
        sys.stdout.write(f"{name[:44]:<44} | {door[:36]:<36} | {answer[:28]:<28} | {told[:90]}\n")
    grown = ", ".join(f"{name} {size / 1e6:+.1f} MB" for name, size in growth.items())
    sys.stdout.write(f"{len(platform.rows)} cases; resident memory: {grown}\n")


def nothing_runs_as_script(platform: Platform) -> None:
    """The pages that show what was sent."""
    odd = [job.pk for job in Job.objects.all() if SCRIPT in json.dumps(job.errors)]
    odd += list(Item.objects.filter(custom_id__contains="script").values_list("job_id", flat=True))
    pages = [
        "",
        "jobs/job/",
        "jobs/item/",
        "files/file/",
        "accounts/apikey/",
        "accounts/auditentry/",
        *(f"jobs/job/{pk}/change/" for pk in odd),
    ]
    pages += [f"jobs/item/{pk}/change/" for pk in Item.objects.filter(custom_id__contains="script").values_list("pk", flat=True)]
    cookie = ["Cookie: sessionid=<session>"]
    for page in pages:
        answer = platform.send(request("GET /admin/", page, "", target=f"/admin/{page}", headers=cookie))
        assert answer.status == 200, (page, answer)
        assert SCRIPT not in answer.text, page


def exports_are_harmless(platform: Platform) -> None:
    job = platform.known["formulas"].split("/")[-3]
    target = f"/admin/jobs/job/{job}/download/?as=csv"
    answer = platform.send(request("GET /admin/", "", "", target=target, headers=["Cookie: sessionid=<session>"]))
    rows = list(csv.reader(io.StringIO(answer.text.lstrip("\ufeff"))))
    assert [row[0].lstrip("'") for row in rows[1:]] == ["=1+1", "@SUM(A1)", "+1", "-1", "\t=1"]
    # A plain number does no harm.
    cells = [cell for row in rows for cell in row if cell.startswith(("=", "@", "\t", "+", "-"))]
    assert set(cells) <= {"+1", "-1"}


def nothing_is_half_done(platform: Platform) -> None:
    assert not Item.objects.filter(state__in=[ItemState.WAITING, ItemState.RUNNING]).exclude(job__workspace__name="theirs").exists()
    assert not Item.objects.filter(job__status=JobStatus.FAILED).exists()
    assert not Part.objects.exclude(upload__status=UploadStatus.PENDING).exists()
    assert psutil.Process(platform.live.pids["web"]).children() == []


def nothing_stays(platform: Platform) -> None:
    """Whatever is stored belongs to a file that its sender can see and delete; after that nothing is stored."""
    seen = platform.ask("GET /v1/files", target="/v1/files?limit=10000")["data"]
    present = File.objects.present().exclude(workspace__name="theirs")
    assert {file["id"] for file in seen} == {file.public_id for file in present}
    theirs = set(File.objects.filter(workspace__name="theirs").values_list("storage_key", flat=True))
    parts = set(Part.objects.values_list("storage_key", flat=True))
    assert set(stored_names()) == {file.storage_key for file in present} | theirs | parts
    for upload in Upload.objects.filter(status=UploadStatus.PENDING).exclude(workspace__name="theirs"):
        platform.ask("POST /v1/uploads/{id}/cancel", target=f"/v1/uploads/{upload.public_id}/cancel")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda file: platform.ask("DELETE /v1/files/{id}", target=f"/v1/files/{file['id']}"), seen))
    assert set(stored_names()) == theirs
    assert not Part.objects.exists()
