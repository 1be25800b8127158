"""A workspace is deleted: closed at once, erased bit by bit, and no row of another one goes with it."""

import io
import os
import signal
import subprocess
import sys
import time
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, models, transaction
from django.test import Client
from django.utils import timezone

from apps.accounts.actions import record_audit
from apps.accounts.models import ApiKey, AuditEntry, IdempotencyRecord, Member, Role, Workspace
from apps.files.actions import create_file
from apps.files.models import File, Part, Upload
from apps.jobs.actions import close_job, finish_job
from apps.jobs.domain.chunk import stream_key
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.models import Item, Job
from apps.knowledge.actions import PinTo, pin_snapshot
from apps.lib.ids import uuid7
from apps.lib.redis_client import redis_client
from apps.ops.actions import erase_workspaces as module
from apps.ops.actions.delete_workspace import DeletionRefusedError, delete_workspace
from apps.ops.actions.erase_workspaces import erase_workspaces
from apps.ops.domain.erasure import AFTER_FILES, BEFORE_FILES, FILES, UNTOUCHED
from apps.ops.queries import workspace_contents
from apps.ops.queries.workspace_contents import count_contents
from apps.providers.models import CacheEntry
from apps.spend.actions import roll_up
from apps.spend.models import Budget, Charge, HourlyPace
from apps.traces.actions import store_bodies
from apps.traces.domain.bodies import make_body
from apps.traces.models import Body, Run
from apps.webhooks.models import Attempt, Mail
from tests.chaos.workers import own_database_url
from tests.factories.accounts import make_api_key, make_client, make_office_client, make_user, make_workspace
from tests.factories.alerts import make_alert
from tests.factories.conversations import make_conversation, make_profile, make_summary, make_turn
from tests.factories.effects import make_effect
from tests.factories.jobs import make_job
from tests.factories.knowledge import make_collection, make_document, make_snapshot
from tests.factories.prompts import make_prompt, make_version
from tests.factories.recipes import make_document_job
from tests.factories.spend import make_saving, make_waste
from tests.factories.webhooks import make_delivery
from tests.jobs.rows import make_job as make_calls

pytestmark = pytest.mark.django_db(transaction=True)
forget_pieces_module = import_module("apps.jobs.actions.forget_pieces")

SUMS = {
    "spend_rollup", "spend_dayrollup", "spend_quarterrollup", "spend_jobrollup", "spend_jobcost",
    "spend_userdayrollup", "spend_usermonthrollup", "spend_userrollup",
}  # fmt: skip
KEPT = {"spend_charge", "spend_waste", "spend_saving", "accounts_auditentry"} | SUMS


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine counting takes a while."""
    monkeypatch.setattr(workspace_contents, "_PATIENCE", "60s")


def live_in(name: str) -> Workspace:
    """A workspace with a row in every table that rows of a workspace stand in."""
    workspace = make_workspace(name)
    key, _ = make_api_key(workspace)
    make_user(f"member-of-{name}", **{name: Role.OWNER})
    make_job(workspace=workspace, status=JobStatus.COMPLETED, running=0, waiting=0, ended_at=timezone.now(), api_key=key)
    Attempt.objects.create(delivery=make_delivery(workspace), number=1, sent_at=timezone.now())
    mail = {
        "telling": 1,
        "severity": "warning",
        "title": "t",
        "text": "t",
        "recipient": "grace@example.org",
        "due_at": timezone.now(),
        "created_at": timezone.now(),
    }
    make_effect(Item.objects.filter(workspace=workspace)[0], arguments=b"their secret question", result=b"their secret result")
    make_version(make_prompt(workspace))
    make_document("Their secret text.", collection=make_collection(workspace))
    snapshot = make_snapshot(workspace.collections.get())
    pin_snapshot(snapshot=snapshot, pin_to=PinTo("conversation", 1), query_key="q")
    conversation = make_conversation(workspace, end_user="grace@example.org")
    make_turn(conversation)
    make_summary(conversation, text="They spoke of secret plans.")
    make_profile(workspace, "grace@example.org")
    Mail.objects.create(alert=make_alert(workspace), **mail)
    client = make_client(name)
    begun = client.post(
        "/v1/uploads",
        {"bytes": 10, "filename": "a.jsonl", "mime_type": "text/plain", "purpose": "batch"},
        content_type="application/json",
        headers={"Idempotency-Key": "one"},
    )
    assert begun.status_code == 200, begun.content
    client.post(f"/v1/uploads/{begun.json()['id']}/parts", {"data": ContentFile(b"0123", name="d")})
    budget = Budget.objects.create(scope="workspace", workspace=workspace, period="month", cap_usd=Decimal(5))
    budget.periods.create(rank=1, starts_at=timezone.now())
    make_document_job(workspace)
    body = Body.objects.filter(workspace=workspace).first()
    assert body is not None
    CacheEntry.objects.create(
        key=os.urandom(32),
        workspace=workspace,
        answer_body_id=body.id,
        status_code=200,
        cost_usd=0,
        run_id=uuid7(),
        expires_at=timezone.now(),
    )
    HourlyPace.objects.create(hour=timezone.now(), workspace=workspace, scope="feature", name="letters", calls=[1], tokens=[1], usd=[1])
    Charge.objects.filter(workspace=workspace).update(end_user="grace@example.org", feature="letters", usage={"who": "grace"})
    names = {"end_user": "grace@example.org", "feature": "letters"}
    make_waste(workspace.id, at=timezone.now(), **names)
    make_saving(workspace.id, by_cache="1", at=timezone.now(), **names)
    roll_up()
    record_audit(
        verb="changed", object_type="job", object_label="secret plans", workspace_id=workspace.id, reason="because", after={"a": 1}
    )
    # Bytes of somebody who was killed while writing.
    default_storage.save(f"{workspace.id.hex}/{uuid7().hex}", ContentFile(b"stray"))
    return workspace


def tables() -> dict[str, Any]:
    """Every table of ours by name."""
    return {model._meta.db_table: model for model in apps.get_models() if model.__module__.startswith("apps.")}


def path_to_workspace(model: Any, seen: frozenset[Any] = frozenset()) -> str | None:
    """How a row's workspace is found: its own column, or that of a row which it points to."""
    fields = [field for field in model._meta.concrete_fields if field.is_relation and field.related_model not in seen]
    if any(field.name == "workspace" for field in fields):
        return "workspace"
    for field in fields:
        further = path_to_workspace(field.related_model, seen | {model}) if field.related_model is not None else None
        if further and not field.null:
            return f"{field.name}__{further}"
    return None


def rows_of(workspace: Workspace) -> dict[str, int]:
    """How many rows of each table belong to it."""
    paths = {name: path_to_workspace(model) for name, model in tables().items()}
    return {name: tables()[name].objects.filter(**{path: workspace}).count() for name, path in paths.items() if path}


def contents_of(workspace: Workspace) -> dict[str, list[Any]]:
    """All that belongs to it, value by value."""
    paths = {name: path_to_workspace(model) for name, model in tables().items()}
    return {name: list(tables()[name].objects.filter(**{path: workspace}).order_by("pk").values()) for name, path in paths.items() if path}


def stored(workspace: Workspace) -> list[str]:
    folder = Path(default_storage.path(workspace.id.hex))
    return sorted(file.name for file in folder.iterdir()) if folder.exists() else []


def delete(workspace: Workspace, **values: Any) -> None:
    delete_workspace(workspace_id=workspace.id, **{"name": workspace.name, "cancels_jobs": False, "now": timezone.now()} | values)


def erase() -> dict[str, int]:
    return erase_workspaces(clock=timezone.now)


def test_every_table_with_rows_of_a_workspace_has_its_step() -> None:
    """Whoever adds a table says what becomes of it here."""
    named = {step.table for step in (*BEFORE_FILES, *AFTER_FILES)} | set(FILES) | set(UNTOUCHED)
    missing = {name for name, model in tables().items() if path_to_workspace(model) and name not in named}
    assert missing == set(), "say in ops/domain/erasure.py what becomes of these"
    assert named <= set(tables())


def test_all_of_it_goes_and_nothing_of_another_and_ledgers_stay_without_names() -> None:
    gone, other = live_in("gone"), live_in("other")
    before, others, their_files = rows_of(gone), contents_of(other), stored(other)
    empty = [name for name, number in before.items() if not number and name not in UNTOUCHED]
    assert empty == [], "make a row of these in live_in: else nothing is proven of them"
    assert len(stored(gone)) >= 3
    sums = list(Charge.objects.filter(workspace=gone).order_by("id").values_list("id", "item_id", "cost_usd", "input_tokens"))
    audit = list(AuditEntry.objects.filter(workspace=gone).order_by("id").values_list("id", "verb", "object_type", "object_id", "actor_id"))
    bodies = Body.objects.filter(workspace=gone).count()

    delete(gone, reason="they left")
    assert erase()["workspaces"] == 1

    after = rows_of(gone)
    assert {name for name, number in after.items() if number} == KEPT
    assert {name: after[name] for name in KEPT} == {name: before[name] for name in KEPT}
    assert bodies > 0
    assert not Body.objects.filter(workspace_id=gone.id).exists()
    assert stored(gone) == []
    assert not Path(default_storage.path(gone.id.hex)).exists()
    charges = Charge.objects.filter(workspace_id=gone.id).order_by("id")
    assert list(charges.values_list("id", "item_id", "cost_usd", "input_tokens")) == sums
    assert set(charges.values_list("end_user", "feature", "usage")) == {("", "", None)}
    for name in KEPT - {"accounts_auditentry"}:
        told = str(list(tables()[name].objects.filter(workspace_id=gone.id).values()))
        assert "grace" not in told, name
        assert "letters" not in told, name
    entries = AuditEntry.objects.filter(workspace_id=gone.id).order_by("id")
    assert list(entries.values_list("id", "verb", "object_type", "object_id", "actor_id")) == audit
    assert set(entries.values_list("actor_label", "object_label", "reason", "address")) == {("", "", "", "")}
    assert all(entry.changes == {} for entry in entries)
    assert contents_of(other) == others
    assert stored(other) == their_files

    gone.refresh_from_db()
    assert (gone.name, gone.deleted_at is not None) == (f"deleted workspace {gone.id.hex[-12:]}", True)
    asked, ended = AuditEntry.objects.filter(object_type="workspace", object_id=str(gone.id)).order_by("id")
    assert (asked.verb, asked.object_label, asked.reason, asked.workspace_id) == ("deleted", "gone", "they left", None)
    assert (asked.changes["items"]["before"], asked.changes["keys"]["before"]) == (before["jobs_item"], before["accounts_apikey"])
    assert (ended.verb, ended.object_label) == ("erased", "")
    assert erase() == {"rows": 0, "workspaces": 0}


def test_the_pieces_of_its_streamed_answers_go_and_those_of_another_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a call that waits again as well: nobody has claimed it any more."""
    monkeypatch.setattr(forget_pieces_module, "_AT_ONCE", 2)
    keys = {}
    for name in ("gone", "stays"):
        ended = {"kind": "single", "status": JobStatus.COMPLETED, "ended_at": timezone.now()}
        job = make_calls(workspace=make_workspace(name), prompts=("a", "b", "c", "d", "e"), **ended)
        job.items.filter(position__lt=4).update(claimed_at=timezone.now())
        keys[name] = [stream_key(item_id) for item_id in job.items.values_list("id", flat=True)]
        for key in keys[name]:
            redis_client().xadd(key, {"d": '{"choices": []}'})
    delete_workspace(workspace_id=Workspace.objects.get(name="gone").id, name="gone", cancels_jobs=False, now=timezone.now())
    assert erase()["workspaces"] == 1
    assert [redis_client().exists(*keys[name]) for name in ("gone", "stays")] == [0, 5]
    redis_client().delete(*keys["stays"])


def test_keys_stop_at_once_members_see_nothing_and_the_name_is_free() -> None:
    gone = live_in("gone")
    client = make_client("gone")
    _, late = make_api_key(gone)
    owner = Client()
    owner.force_login(Member.objects.get(workspace=gone).user)
    assert client.get("/v1/files").status_code == 200
    delete(gone)
    answer = client.get("/v1/files")
    assert (answer.status_code, answer.json()["error"]["code"], answer.headers["x-should-retry"]) == (401, "invalid_api_key", "false")
    # One that was being made at that very moment.
    ApiKey.objects.filter(workspace=gone).order_by("-id")[:1].get()
    ApiKey.objects.filter(workspace=gone).update(revoked_at=None)
    refused = Client(headers={"Authorization": f"Bearer {late}"}).get("/v1/files")
    assert (refused.status_code, "has been deleted" in refused.json()["error"]["message"]) == (401, True)
    assert str(gone.id) not in owner.get("/admin/accounts/workspace/").content.decode()
    assert make_workspace("gone").id != gone.id


def test_it_is_refused_while_jobs_are_open_unless_they_are_cancelled() -> None:
    workspace = live_in("gone")
    job = make_job(workspace=workspace, done=1, dead=0, running=1, waiting=3)
    with pytest.raises(DeletionRefusedError, match="1 job has not ended"):
        delete(workspace)
    workspace.refresh_from_db()
    assert workspace.deleting_at is None
    delete(workspace, cancels_jobs=True)
    job.refresh_from_db()
    assert job.status == JobStatus.CANCELLING
    # What is in the air is settled first.
    assert erase() == {"rows": 0, "workspaces": 0}
    assert rows_of(workspace)["jobs_item"] > 5
    close_job(job_id=job.id)
    Item.objects.filter(job=job, state="running").update(state="done", ended_at=timezone.now())
    close_job(job_id=job.id)
    finish_job(job_id=job.id, clock=timezone.now)
    job.refresh_from_db()
    assert job.ended_at is not None
    assert erase()["workspaces"] == 1
    assert not Job.objects.filter(workspace=workspace).exists()


@pytest.mark.parametrize("name", ["", "Gone", "gone!", "other"])
def test_the_name_must_be_written_as_it_stands(name: str) -> None:
    workspace = make_workspace("gone")
    with pytest.raises(DeletionRefusedError, match="write the workspace's name, gone, exactly"):
        delete(workspace, name=name)
    delete(workspace)
    workspace.refresh_from_db()
    with pytest.raises(DeletionRefusedError, match="being deleted already"):
        delete(workspace)


def test_it_goes_on_where_its_time_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = live_in("gone")
    delete(workspace)
    monkeypatch.setattr(module, "_AT_ONCE", 1)
    monkeypatch.setattr(module, "_FILES_AT_ONCE", 1)
    left = sum(rows_of(workspace).values())
    monkeypatch.setattr(module, "_SECONDS", -1.0)
    for _ in range(3):
        assert erase() == {"rows": 1, "workspaces": 0}
    assert sum(rows_of(workspace).values()) < left
    monkeypatch.setattr(module, "_SECONDS", 600.0)
    assert erase()["workspaces"] == 1
    assert {name for name, number in rows_of(workspace).items() if number} == KEPT


_ERASER = """
import django
django.setup()
from django.utils import timezone
from apps.ops.actions import erase_workspaces as module
module._AT_ONCE = module._FILES_AT_ONCE = 5
module.erase_workspaces(clock=timezone.now)
"""


def test_killed_in_the_middle_it_is_carried_to_its_end(tmp_path: Path) -> None:
    gone, other = live_in("gone"), live_in("other")
    model_id = uuid7()
    job = make_job(workspace=gone, status=JobStatus.COMPLETED, running=0, waiting=0, ended_at=timezone.now())
    bodies = [make_body(gone.id, f"request {n}".encode()) for n in range(3000)]
    store_bodies(bodies)
    Item.objects.bulk_create(
        Item(
            id=uuid7(), job=job, workspace=gone, model_id=model_id, lane="default", position=n + 10, custom_id=f"n{n}", state="done",
            request_body_id=body.id, ended_at=timezone.now(),
        )
        for n, body in enumerate(bodies)
    )  # fmt: skip
    others = contents_of(other)
    items, jobs = rows_of(gone)["jobs_item"], Job.objects.filter(workspace=gone).count()
    delete(gone)
    storage = str(django_settings.STORAGES["default"]["OPTIONS"]["location"])
    environment = os.environ | {
        "DATABASE_URL": own_database_url(), "AIPLATFORM_STORAGE": storage, "DJANGO_SETTINGS_MODULE": "aiplatform.settings",
    }  # fmt: skip
    process = subprocess.Popen([sys.executable, "-c", _ERASER], env=environment)
    deadline = time.monotonic() + 240
    while Item.objects.filter(workspace=gone).count() > items - 500:
        assert process.poll() is None, "it was done before it could be killed"
        assert time.monotonic() < deadline, "it never came so far"
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    left = Item.objects.filter(workspace=gone)
    assert 0 < left.count() < items
    # Never an item without what it asked for, nor a job without its items' end.
    assert Body.objects.filter(id__in=left.values("request_body_id")).count() == left.values("request_body_id").distinct().count()
    assert Job.objects.filter(workspace=gone).count() == jobs
    while not erase()["workspaces"]:
        # Postgres gives a dead session's lock back when it notices.
        assert time.monotonic() < deadline, "the dead one's lock was never given back"
    assert {name for name, number in rows_of(gone).items() if number} == KEPT
    assert (contents_of(other), stored(gone)) == (others, [])
    assert Charge.objects.filter(workspace_id=gone.id).exists()


def test_no_bite_is_part_of_a_long_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = live_in("gone")
    delete(workspace)
    seen = []
    real = module.server_cursor

    def watched() -> Any:
        seen.append(connection.in_atomic_block)
        return real()

    monkeypatch.setattr(module, "server_cursor", watched)
    assert erase()["workspaces"] == 1
    assert len(seen) > 20
    assert not any(seen)


def test_the_log_of_a_workspace_that_stays_is_as_unchangeable_as_ever() -> None:
    gone, other = live_in("gone"), live_in("other")
    delete(gone)
    blank = {"actor_label": "", "object_label": "", "reason": "", "request_id": "", "address": "", "changes": {}}
    attempts: list[tuple[models.QuerySet[AuditEntry], dict[str, Any]]] = [
        (AuditEntry.objects.filter(workspace=other), blank),
        (AuditEntry.objects.filter(workspace=gone), blank | {"verb": "nothing"}),
        (AuditEntry.objects.filter(workspace=gone), {"reason": ""}),
        (AuditEntry.objects.filter(workspace=gone), blank | {"object_id": ""}),
    ]
    for rows, values in attempts:
        assert rows.exists()
        with pytest.raises(IntegrityError, match="never changed or deleted"), transaction.atomic():
            rows.update(**values)
    with pytest.raises(IntegrityError, match="never changed or deleted"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM accounts_auditentry WHERE workspace_id = %s", [gone.id])


def test_contents_are_counted_and_what_takes_too_long_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = live_in("gone")
    counted = count_contents(workspace.id)
    assert counted["items"] == Item.objects.filter(workspace=workspace).count()
    assert (counted["runs"], counted["files"]) == (Run.objects.count(), File.objects.filter(workspace=workspace).count())
    assert all(number for number in counted.values())
    monkeypatch.setitem(workspace_contents._COUNTS, "items", "SELECT pg_sleep(5), %s")
    monkeypatch.setattr(workspace_contents, "_PATIENCE", "20ms")
    assert count_contents(workspace.id)["items"] is None


def test_the_page_asks_for_the_name_and_deletes() -> None:
    workspace = live_in("gone")
    make_job(workspace=workspace)
    owner = Client()
    owner.force_login(Member.objects.get(workspace=workspace).user)
    assert "Delete this workspace" in owner.get(f"/admin/accounts/workspace/{workspace.id}/change/").content.decode()
    page = f"/admin/accounts/workspace/{workspace.id}/erase/"
    question = owner.get(page).content.decode()
    assert "nobody can bring it back" in question
    assert "Cancel the 1 job that has not ended" in question
    for form, said in (({"name": "Gone"}, "exactly as it stands"), ({"name": "gone"}, "1 job has not ended")):
        answer = owner.post(page, form | {"reason": "over"})
        assert (answer.status_code, said in answer.content.decode()) == (200, True)
    assert owner.post(page, {"name": "gone", "cancels_jobs": "on", "reason": "over"}).status_code == 302
    workspace.refresh_from_db()
    assert workspace.deleting_at is not None
    assert AuditEntry.objects.get(verb="deleted", object_type="workspace").actor_label == "member-of-gone"
    assert owner.get(page).status_code == 404
    shown = make_office_client().get(f"/admin/accounts/workspace/{workspace.id}/change/").content.decode()
    assert "is being deleted since" in shown
    assert "Delete this workspace" not in shown


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER, None])
def test_whoever_does_not_own_it_can_not_delete_it(role: Role | None) -> None:
    workspace = make_workspace("gone")
    client = make_office_client(make_user("eve", **({"gone": role} if role else {})))
    page = f"/admin/accounts/workspace/{workspace.id}/erase/"
    assert (client.get(page).status_code, client.post(page, {"name": "gone"}).status_code) == (404, 404)
    assert Client().post(page, {"name": "gone"}).status_code == 302
    workspace.refresh_from_db()
    assert workspace.deleting_at is None


def test_the_command_shows_first_and_deletes_when_the_name_is_written_again(capsys: pytest.CaptureFixture[str]) -> None:
    workspace = live_in("gone")
    call_command("delete_workspace", "gone")
    shown = capsys.readouterr().out
    assert f"items      {Item.objects.count()}" in shown
    assert "Nothing was deleted" in shown
    with pytest.raises(CommandError, match="exactly as it stands"):
        call_command("delete_workspace", "gone", "--confirm", "other")
    with pytest.raises(CommandError, match="There is no workspace 'nobody'"):
        call_command("delete_workspace", "nobody")
    assert Workspace.objects.get(name="gone").deleting_at is None
    call_command("delete_workspace", "gone", "--confirm", "gone", "--reason", "contract ended")
    entry = AuditEntry.objects.get(verb="deleted", object_type="workspace")
    assert (entry.actor_label, entry.reason, UUID(entry.object_id)) == ("manage.py delete_workspace", "contract ended", workspace.id)


def test_what_is_written_meanwhile_goes_as_well() -> None:
    """Somebody who was let in before it was closed writes after the sweep has begun."""
    workspace = live_in("gone")
    delete(workspace)
    real, late = module._do, []

    def writes_once(*arguments: Any) -> int:
        if arguments[0].table == "accounts_apikey" and not late:
            late.append(IdempotencyRecord.objects.create(workspace=workspace, route="POST /v1/files", key="x", fingerprint="", **_times()))
            late.append(Upload.objects.create(workspace=workspace, filename="a", size_bytes=1, purpose="batch", expires_at=timezone.now()))
            Part.objects.create(upload=late[-1], size_bytes=1, storage_key=f"{workspace.id.hex}/{uuid7().hex}")
        return real(*arguments)

    module._do = writes_once
    try:
        assert erase()["workspaces"] == 1
    finally:
        module._do = real
    assert len(late) == 2
    assert {name for name, number in rows_of(workspace).items() if number} == KEPT


def test_an_upload_that_ends_after_everything_is_gone_goes_as_well() -> None:
    workspace = live_in("gone")
    delete(workspace)
    assert erase()["workspaces"] == 1
    late = create_file(
        workspace_id=workspace.id,
        api_key_id=None,
        purpose="batch",
        filename="late.jsonl",
        content=io.BytesIO(b"{}"),
        expires_after_seconds=None,
        now=timezone.now(),
    )
    assert stored(workspace) == [late.storage_key.split("/")[1]]
    assert erase()["workspaces"] == 0
    assert (stored(workspace), File.objects.filter(workspace=workspace).count()) == ([], 0)
    assert AuditEntry.objects.filter(verb="erased").count() == 1


def _times() -> dict[str, Any]:
    return {"created_at": timezone.now(), "expires_at": timezone.now()}
