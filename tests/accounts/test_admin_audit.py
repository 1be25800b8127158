"""The audit log: every page of the back office that changes something, and every API call that does, leaves an entry."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django_celery_results.models import TaskResult

from apps.accounts.models import ApiKey, AuditEntry, Role
from apps.jobs.actions.bury import Death, bury
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.models import Item
from tests.factories.accounts import make_api_key, make_client, make_office_client, make_user, make_workspace
from tests.factories.alerts import make_alert
from tests.factories.files import make_file
from tests.factories.jobs import make_job, make_pump, make_route
from tests.factories.knowledge import make_collection, upload
from tests.factories.prompts import make_prompt, make_version
from tests.factories.providers import make_model, make_provider
from tests.factories.webhooks import URL, make_delivery, make_endpoint
from tests.spend.purses import make_budget

pytestmark = pytest.mark.django_db


@dataclass(frozen=True)
class Case:
    """A POST that changes something, and the entry that it leaves."""

    post: Callable[[Client], Any]
    did: str
    to: str


def send(name: str, form: dict[str, Any], *arguments: Any) -> Callable[[Client], Any]:
    return lambda client: client.post(reverse(f"admin:{name}", args=[part() if callable(part) else part for part in arguments]), form)


def user_form(**values: Any) -> dict[str, Any]:
    return {"username": "grace", "date_joined_0": "2026-11-20", "date_joined_1": "12:00:00", "is_staff": "on"} | values


def no_rows(prefix: str) -> dict[str, Any]:
    return {f"{prefix}-TOTAL_FORMS": 0, f"{prefix}-INITIAL_FORMS": 0}


def provider_form(**values: Any) -> dict[str, Any]:
    return {
        "name": "backup", "kind": "openai", "base_url": "http://127.0.0.1:9/v1", "connect_timeout_seconds": 5, "read_timeout_seconds": 30,
        "total_timeout_seconds": 30, "is_enabled": "on", "api_key": "sk-very-secret-42",
    } | values  # fmt: skip


def price_form() -> dict[str, Any]:
    return {
        "provider_id": make_route().provider.pk, "upstream_model": "gpt-y", "effective_from_0": "2026-12-01", "effective_from_1": "00:00",
        "input_usd_per_million": "1", "output_usd_per_million": "2", "request_usd": "0",
    }  # fmt: skip


def own_budget() -> Any:
    return make_budget("workspace", workspace=make_workspace(), period="day", cap="5").pk


def dead_job() -> Any:
    return make_job(status=JobStatus.RUNNING).pk


OWN_PASSWORD = {
    "old_password": "a long enough password", "new_password1": "correct horse battery", "new_password2": "correct horse battery",
}  # fmt: skip
PASSWORD = {"password1": "correct horse battery", "password2": "correct horse battery", "usable_password": "true"}


def requeue_dead(client: Client) -> Any:
    item = Item.objects.get(pk=make_job(status=JobStatus.RUNNING).items.filter(state="dead").values_list("pk", flat=True)[0])
    bury([Death(item.pk, "rejected", "bad", "no")])
    item.refresh_from_db()
    return client.post(f"{reverse('admin:jobs_item_dead')}?group={item.fingerprint}", {"step": "do", "reason": "again"})


def new_job(client: Client) -> Any:
    make_route()
    form = {
        "workspace": make_workspace().pk, "upload": SimpleUploadedFile("a.csv", b"text\nhello\n"), "model": "small",
        "user": "Say {{text}}", "lane": "default", "step": "submit",
    }  # fmt: skip
    return client.post(reverse("admin:jobs_job_new"), form)


def try_out(client: Client) -> Any:
    make_route()
    version = make_version(user="Say {{ what }}.", variables=[{"name": "what"}])
    path = f"{reverse('admin:jobs_job_try')}?prompt={version.prompt_id}&version=1"
    return client.post(path, {"model": "small", "value_what": "hello"})


def take_prices(client: Client) -> Any:
    provider = make_provider(base_url="https://api.openai.com/v1")
    make_model("priced", provider).targets.update(upstream_model="gpt-4o-mini")
    page = client.get(reverse("admin:providers_provider_prices"))
    seen = page.context["changes"] if page.status_code == 200 else ()
    return client.post(reverse("admin:providers_provider_prices"), {"chosen": [change.key for change in seen]})


CHANGES: dict[str, Case] = {
    "providers_provider_prices": Case(take_prices, "imported", "price list"),
    "jobs_job_new": Case(new_job, "submitted", "job"),
    "jobs_job_pause": Case(send("jobs_job_pause", {}, dead_job), "paused", "job"),
    "jobs_job_resume": Case(send("jobs_job_resume", {}, lambda: make_job(status=JobStatus.PAUSED).pk), "resumed", "job"),
    "jobs_job_cancel": Case(send("jobs_job_cancel", {"reason": "wrong file"}, dead_job), "cancelled", "job"),
    "jobs_job_rerun": Case(send("jobs_job_rerun", {}, dead_job), "rerun", "job"),
    "jobs_job_lane": Case(send("jobs_job_lane", {"lane": "bulk"}, dead_job), "moved to another lane", "job"),
    "jobs_item_dead": Case(requeue_dead, "requeued", "job"),
    "files_file_discard": Case(send("files_file_discard", {"reason": "test"}, lambda: make_file().pk), "deleted", "file"),
    "accounts_workspace_add": Case(
        send("accounts_workspace_add", {"name": "globex", "time_zone": "UTC"} | no_rows("members")), "added", "workspace"
    ),
    "accounts_workspace_change": Case(
        send("accounts_workspace_change", {"name": "acme", "time_zone": "Europe/Berlin"} | no_rows("members"), lambda: make_workspace().pk),
        "changed",
        "workspace",
    ),
    "accounts_apikey_add": Case(
        lambda client: client.post(
            reverse("admin:accounts_apikey_add"), {"workspace": make_workspace().pk, "name": "nightly", "scopes": ["files"]}
        ),
        "created",
        "API key",
    ),
    "accounts_apikey_change": Case(
        send("accounts_apikey_change", {"name": "renamed", "scopes": ["files"]}, lambda: make_api_key()[0].pk), "changed", "API key"
    ),
    "accounts_apikey_changelist": Case(
        lambda client: client.post(
            reverse("admin:accounts_apikey_changelist"),
            {"action": "revoke", "_selected_action": [make_api_key()[0].pk], "confirmed": "yes"},
        ),
        "revoked",
        "API key",
    ),
    "accounts_user_add": Case(send("accounts_user_add", {"username": "grace"} | PASSWORD), "added", "user"),
    "accounts_user_change": Case(
        send("accounts_user_change", user_form(email="g@example.org"), lambda: make_user("grace").pk), "changed", "user"
    ),
    "auth_user_password_change": Case(send("auth_user_password_change", PASSWORD, lambda: make_user("grace").pk), "changed", "user"),
    "password_change": Case(send("password_change", OWN_PASSWORD), "changed", "user"),
    "accounts_user_delete": Case(send("accounts_user_delete", {"post": "yes"}, lambda: make_user("grace").pk), "deleted", "user"),
    "accounts_user_changelist": Case(
        lambda client: client.post(
            reverse("admin:accounts_user_changelist"),
            {"action": "delete_selected", "_selected_action": [make_user("grace").pk], "post": "yes"},
        ),
        "deleted",
        "user",
    ),
    "auth_group_add": Case(send("auth_group_add", {"name": "night shift"}), "added", "group"),
    "auth_group_change": Case(
        send("auth_group_change", {"name": "day shift"}, lambda: Group.objects.create(name="night shift").pk), "changed", "group"
    ),
    "auth_group_delete": Case(
        send("auth_group_delete", {"post": "yes"}, lambda: Group.objects.create(name="night shift").pk), "deleted", "group"
    ),
    "providers_provider_add": Case(send("providers_provider_add", provider_form()), "added", "provider"),
    "providers_provider_change": Case(
        send("providers_provider_change", provider_form(name="primary"), lambda: make_route().provider.pk), "changed", "provider"
    ),
    "providers_provider_delete": Case(
        send("providers_provider_delete", {"post": "yes"}, lambda: make_route().provider.pk), "deleted", "provider"
    ),
    "providers_provider_switch": Case(
        send("providers_provider_switch", {"reason": "storm"}, lambda: make_route().provider.pk), "paused", "provider"
    ),
    "providers_provider_switch_target": Case(
        send("providers_provider_switch_target", {"reason": "storm"}, lambda: make_route().target.pk), "paused", "target"
    ),
    "providers_model_add": Case(
        send("providers_model_add", {"name": "large", "max_output_tokens": 100, "is_enabled": "on"} | no_rows("targets")), "added", "model"
    ),
    "providers_model_change": Case(
        send(
            "providers_model_change",
            {"name": "small", "max_output_tokens": 77, "is_enabled": "on"} | no_rows("targets"),
            lambda: make_route().model.pk,
        ),
        "changed",
        "model",
    ),
    "providers_model_delete": Case(send("providers_model_delete", {"post": "yes"}, lambda: make_route().model.pk), "deleted", "model"),
    "webhooks_endpoint_add": Case(
        lambda client: client.post(
            reverse("admin:webhooks_endpoint_add"), {"workspace": make_workspace().pk, "name": "a", "url": URL, "events": ["batch.failed"]}
        ),
        "created",
        "webhook endpoint",
    ),
    "webhooks_endpoint_change": Case(
        send(
            "webhooks_endpoint_change",
            {"name": "renamed", "url": URL, "events": ["batch.failed"], "is_enabled": "on"},
            lambda: make_endpoint().pk,
        ),
        "changed",
        "webhook endpoint",
    ),
    "webhooks_endpoint_delete": Case(
        send("webhooks_endpoint_delete", {"post": "yes"}, lambda: make_endpoint().pk), "deleted", "webhook endpoint"
    ),
    "webhooks_endpoint_test": Case(send("webhooks_endpoint_test", {}, lambda: make_endpoint().pk), "tested", "webhook endpoint"),
    "webhooks_endpoint_rotate": Case(
        send("webhooks_endpoint_rotate", {}, lambda: make_endpoint().pk), "rotated secret", "webhook endpoint"
    ),
    "webhooks_delivery_again": Case(send("webhooks_delivery_again", {}, lambda: make_delivery().pk), "sent again", "webhook delivery"),
    "webhooks_alert_acknowledge": Case(send("webhooks_alert_acknowledge", {}, lambda: make_alert().pk), "acknowledged", "alert"),
    "spend_budget_add": Case(
        lambda client: client.post(
            reverse("admin:spend_budget_add"),
            {"scope": "workspace", "workspace": make_workspace().pk, "period": "day", "cap_usd": "5", "is_hard": "on"},
        ),
        "added",
        "budget",
    ),
    "spend_budget_change": Case(
        send("spend_budget_change", {"cap_usd": "7", "is_hard": "on", "is_active": "on"}, own_budget),
        "changed",
        "budget",
    ),
    "spend_budget_top_up": Case(
        send("spend_budget_top_up", {"amount_usd": "7", "reason": "a busy week"}, own_budget), "topped up", "budget"
    ),
    "jobs_job_try": Case(try_out, "submitted", "job"),
    "knowledge_collection_add": Case(
        lambda client: client.post(
            reverse("admin:knowledge_collection_add"), {"workspace": make_workspace().pk, "name": "handbook", "language": "simple"}
        ),
        "created",
        "collection",
    ),
    "knowledge_collection_upload": Case(
        lambda client: client.post(
            reverse("admin:knowledge_collection_upload", args=[make_collection(name="uploads").pk]),
            {"documents": [SimpleUploadedFile("rules.txt", b"Text.")]},
        ),
        "uploaded",
        "document",
    ),
    "knowledge_document_discard": Case(
        send("knowledge_document_discard", {"reason": "old"}, lambda: upload("Text.", collection=make_collection(name="old")).document.pk),
        "deleted",
        "document",
    ),
    "prompts_prompt_add": Case(
        lambda client: client.post(
            reverse("admin:prompts_prompt_add"), {"workspace": make_workspace().pk, "name": "letter", "description": "Answers."}
        ),
        "created",
        "prompt",
    ),
    "prompts_prompt_draft": Case(
        send("prompts_prompt_draft", {"user": "Say hello.", "variables": "[]"}, lambda: make_prompt().pk), "began draft", "prompt"
    ),
    "prompts_prompt_publish": Case(
        send("prompts_prompt_publish", {"version": "1"}, lambda: make_version(is_published=False).prompt_id), "published", "prompt"
    ),
    "prompts_prompt_archive": Case(
        send("prompts_prompt_archive", {"version": "1"}, lambda: make_version().prompt_id), "archived", "prompt"
    ),
    "spend_price_add": Case(lambda client: client.post(reverse("admin:spend_price_add"), price_form()), "added", "price"),
}
# These change nothing that others see or pay for.
HARMLESS = {
    "providers_provider_desk",
    "index", "login", "logout", "password_change_done", "autocomplete", "jsi18n", "view_on_site", "app_list", "search",
    "toggle_sidebar", "jobs_job_progress", "jobs_job_errors", "jobs_item_by_model", "jobs_job_download", "files_file_content",
    "prompts_prompt_compare",
}  # fmt: skip


def admin_routes(patterns: Any, found: dict[str, str] | None = None) -> dict[str, str]:
    """Name -> path of every route below /admin/."""
    found = {} if found is None else found
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            admin_routes(pattern.url_patterns, found)
        elif isinstance(pattern, URLPattern) and pattern.name:
            found[pattern.name] = str(pattern.pattern)
    return found


def routes() -> dict[str, str]:
    site = next(part for part in get_resolver().url_patterns if isinstance(part, URLResolver) and part.namespace == "admin")
    return admin_routes(site.url_patterns)


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_leaves_an_entry(name: str) -> None:
    client = make_office_client()
    before = set(AuditEntry.objects.values_list("id", flat=True))
    answer = CHANGES[name].post(client)
    assert answer.status_code in {200, 302}, answer.content.decode()
    entries = [entry for entry in AuditEntry.objects.order_by("id") if entry.id not in before and entry.actor_kind == "user"]
    assert [(entry.verb, entry.object_type) for entry in entries] == [(CHANGES[name].did, CHANGES[name].to)]
    entry = entries[0]
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
    for name, path in routes().items():
        if name in CHANGES or name in HARMLESS or name.endswith("_history"):
            continue
        label, _, _ = name.rpartition("_")
        arguments = []
        if "<" in path:
            row = tables[label].objects.first() if label in tables else None
            arguments = [row.pk if row else job.pk]
        answer = client.post(reverse(f"admin:{name}", args=arguments), {"post": "yes"})
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


@pytest.mark.parametrize("change", ["update", "delete"])
def test_the_table_refuses_to_change_or_delete_an_entry(change: str) -> None:
    make_api_key()
    rows = AuditEntry.objects.all()
    with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
        rows.update(reason="forged") if change == "update" else rows.delete()


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
