"""The audit log: every page of the back office that changes something, and every API call that does, leaves an entry."""

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse
from django_celery_results.models import TaskResult

from apps.accounts.models import ApiKey, AuditEntry, Role
from apps.jobs.domain.lifecycle import JobStatus
from tests.accounts.changes import (
    BUTTONS,
    CHANGES,
    HARMLESS,
    OTHER_WHY,
    WHY,
    WHY_NEEDED,
    address_of,
    buttons,
    list_actions,
    names_of_buttons,
    routes,
)
from tests.factories.accounts import make_api_key, make_client, make_office_client, make_user, make_workspace
from tests.factories.files import make_file
from tests.factories.jobs import make_job, make_pump
from tests.faults import figure

pytestmark = pytest.mark.django_db


def test_every_action_has_its_case() -> None:
    """Whoever adds an action to a list, or a button that asks a page for something else, adds it to CHANGES, or sees this test fail."""
    assert {key for key in CHANGES if "_changelist:" in key} == set(list_actions())
    assert set(BUTTONS) == set(buttons()), "say in BUTTONS which change the new button is"
    assert {key for key in BUTTONS.values() if key} <= set(CHANGES)
    assert names_of_buttons() <= {"action", "act", "step"}, "a button of another name chooses an action, too: add its name to _BUTTON"
    assert {key.partition(":")[0] for key in CHANGES} <= set(routes())
    assert set(routes()) >= HARMLESS


class Speechless(Client):
    """Somebody who leaves out why."""

    def post(self, path: Any, data: Any = None, *arguments: Any, **options: Any) -> Any:
        return super().post(path, {name: value for name, value in (data or {}).items() if name != "reason"}, *arguments, **options)


@pytest.mark.timeout(300)
def test_nothing_is_done_to_money_or_access_without_a_reason() -> None:
    client = make_office_client()
    client.__class__ = Speechless
    session, wrong = client.cookies["sessionid"].value, []
    for name, case in CHANGES.items():
        with transaction.atomic():
            before = set(AuditEntry.objects.values_list("id", flat=True))
            status = case.post(client).status_code
            did = AuditEntry.objects.exclude(id__in=before).filter(actor_kind="user", verb=case.did).exists()
            transaction.set_rollback(True)
        # A changed password makes a new session, which was taken back as well.
        client.cookies["sessionid"] = session
        if did == (name in WHY_NEEDED) or status >= 400:
            wrong.append((name, status, did))
    figure("Reasons", f"{len(CHANGES)} changes without one, of which {len(WHY_NEEDED)} need it: wrong {len(wrong)}")
    assert wrong == []


def test_only_forms_that_keep_a_reason_ask_for_one() -> None:
    office = make_office_client()
    forms = {name: office.get(address_of(name)) for name in CHANGES if name.endswith("_add")}
    assert {name for name, page in forms.items() if 'name="reason"' not in page.content.decode()} == set(OTHER_WHY) & set(forms)
    assert len(forms) > 10


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_leaves_an_entry(name: str) -> None:
    client = make_office_client()
    before = set(AuditEntry.objects.values_list("id", flat=True))
    answer = CHANGES[name].post(client)
    assert answer.status_code in {200, 302}, answer.content.decode()
    entries = [entry for entry in AuditEntry.objects.order_by("id") if entry.id not in before and entry.actor_kind == "user"]
    assert [(entry.verb, entry.object_type) for entry in entries] == [(CHANGES[name].did, CHANGES[name].to)]
    entry = entries[0]
    assert entry.reason == OTHER_WHY.get(name, WHY)
    assert (entry.actor_label, entry.address, entry.request_id) == ("root", "127.0.0.1", answer.headers["x-request-id"])
    told = f"{entry.changes} {entry.object_label}"
    assert "sk-very-secret-42" not in told
    assert "correct horse" not in told


def test_every_other_route_of_the_back_office_changes_nothing() -> None:
    """Whoever adds a route that takes a POST adds its case above, or sees this test fail."""
    job = make_job()
    make_api_key()
    make_pump()
    TaskResult.objects.create(task_id="one", task_name="jobs.report", status="SUCCESS", result="{}")
    client = make_office_client()
    tables: dict[str, Any] = {table._meta.label_lower.replace(".", "_"): table for table in apps.get_models()}
    wrong = []
    changing = {key.partition(":")[0] for key in CHANGES if not key.partition(":")[0].endswith("_changelist")}
    for name, path in routes().items():
        if name in changing or name in HARMLESS or name.endswith("_history"):
            continue
        label, _, _ = name.rpartition("_")
        arguments = []
        if "<" in path:
            row = tables[label].objects.first() if label in tables else None
            arguments = [row.pk if row else job.pk]
        answer = client.post(address_of(name, *arguments), {"post": "yes", "reason": WHY})
        if answer.status_code not in {403, 404, 405} and not (name.endswith("_changelist") and answer.status_code in {200, 302}):
            wrong.append((name, answer.status_code))
    assert wrong == []


# --- by key and by command ------------------------------------------------------------------------------------------------


def line() -> bytes:
    return b'{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"small","messages":[]}}\n'


BY_KEY: dict[str, tuple[Callable[[Client], Any], str]] = {
    "submit": (
        lambda client: client.post(
            "/v1/batches",
            {"input_file_id": make_file(line()).public_id, "endpoint": "/v1/chat/completions", "completion_window": "24h"},
            content_type="application/json",
        ),
        "submitted",
    ),
    "cancel": (lambda client: client.post(f"/v1/batches/{make_job().public_id}/cancel"), "cancelled"),
    "pause": (lambda client: client.post(f"/api/jobs/{make_job().public_id}/pause"), "paused"),
    "resume": (lambda client: client.post(f"/api/jobs/{make_job(status=JobStatus.PAUSED).public_id}/resume"), "resumed"),
    "delete file": (lambda client: client.delete(f"/v1/files/{make_file().public_id}"), "deleted"),
}


@pytest.mark.parametrize("name", BY_KEY)
def test_a_change_by_key_leaves_an_entry_that_names_the_key(name: str) -> None:
    client = make_client("acme")
    call, did = BY_KEY[name]
    answer = call(client)
    assert answer.status_code == 200, answer.content
    entry = AuditEntry.objects.get(actor_kind="key")
    assert (entry.verb, entry.actor_label, entry.workspace) == (did, str(ApiKey.objects.get()), make_workspace())
    assert entry.request_id == answer.headers["x-request-id"]


def test_what_changes_nothing_leaves_nothing() -> None:
    job = make_job(status=JobStatus.PAUSED)
    make_client("acme").post(f"/api/jobs/{job.public_id}/pause")
    assert not AuditEntry.objects.filter(verb="paused").exists()


def test_apply_leaves_an_entry_without_the_key(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKUP_KEY", "sk-very-secret-42")
    file = tmp_path / "config.toml"
    file.write_text('[[providers]]\nname = "backup"\nbase_url = "http://127.0.0.1:9/v1"\napi_key_env = "BACKUP_KEY"\n')
    call_command("apply", str(file))
    entry = AuditEntry.objects.get()
    assert (entry.actor_kind, entry.actor_label, entry.verb) == ("command", "manage.py apply", "applied")
    assert "provider backup: added" in entry.changes["changes"]["after"]
    assert "sk-very-secret-42" not in str(entry.changes)
    call_command("apply", str(file))
    assert AuditEntry.objects.count() == 1


# --- the log itself -------------------------------------------------------------------------------------------------------


def test_an_entry_tells_before_after_and_why() -> None:
    client = make_office_client()
    job = make_job()
    client.post(reverse("admin:jobs_job_cancel", args=[job.pk]), {"reason": "wrong file"})
    entry = AuditEntry.objects.get(verb="cancelled")
    assert entry.changes == {"status": {"before": "running", "after": "cancelling"}}
    assert entry.reason == "wrong file"
    page = client.get(reverse("admin:accounts_auditentry_change", args=[entry.pk])).content.decode()
    assert "wrong file" in page
    assert "cancelling" in page


@pytest.mark.parametrize(("given", "kept"), [("a\0b", "ab"), ("\0", ""), ("x" * 600, "x" * 500), ("<b>", "<b>")])
def test_a_reason_is_kept_as_far_as_it_can_be(given: str, kept: str) -> None:
    answer = make_office_client().post(reverse("admin:jobs_job_cancel", args=[make_job().pk]), {"reason": given})
    assert (answer.status_code, AuditEntry.objects.get(verb="cancelled").reason) == (302, kept)


@pytest.mark.parametrize("change", ["update", "delete"])
def test_the_table_refuses_to_change_or_delete_an_entry(change: str) -> None:
    make_api_key()
    rows = AuditEntry.objects.all()
    with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
        rows.update(reason="forged") if change == "update" else rows.delete()


@pytest.mark.parametrize("how", ["", " CASCADE"])
def test_the_table_refuses_to_be_emptied(how: str) -> None:
    make_api_key()
    with connection.cursor() as cursor:
        # Foreign keys that are looked at at the end would be in the way of any TRUNCATE.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
            cursor.execute(f"TRUNCATE accounts_auditentry{how}")
    assert AuditEntry.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_tests_empty_it_all_the_same_and_leave_it_guarded() -> None:
    make_api_key()
    call_command("flush", interactive=False)
    assert not AuditEntry.objects.exists()
    with pytest.raises(IntegrityError, match="never changed"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("TRUNCATE accounts_auditentry")


def test_members_read_the_log_of_their_workspaces_alone() -> None:
    make_api_key(make_workspace("globex"))
    ours, _ = make_api_key(make_workspace("acme"))
    answer = make_office_client(make_user(acme=Role.VIEWER)).get(reverse("admin:accounts_auditentry_changelist"))
    assert [entry.object_id for entry in answer.context["cl"].result_list] == [str(ours.pk)]
    assert "globex" not in answer.content.decode()


def test_an_objects_history_is_its_part_of_the_log() -> None:
    client = make_office_client()
    key, _ = make_api_key()
    make_api_key()
    answer = client.get(reverse("admin:accounts_apikey_history", args=[key.pk]), follow=True)
    assert [entry.object_id for entry in answer.context["cl"].result_list] == [str(key.pk)]


def test_a_change_that_is_rolled_back_leaves_no_entry() -> None:
    with transaction.atomic():
        make_api_key()
        transaction.set_rollback(True)
    assert not AuditEntry.objects.exists()
    assert not ApiKey.objects.exists()
