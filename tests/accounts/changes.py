"""Every change that a page of the back office offers: the POST that brings it about, and the entry that it leaves in the audit log.

By route; where one route has several actions, by `route:action`. Routes come from the URLconf, actions from the admin site and from the
buttons of our templates: one without a line here fails in test_admin_audit.py.
"""

import re
from base64 import b32decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import get_user
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone
from django_otp import DEVICE_ID_SESSION_KEY
from django_otp.oath import TOTP

from apps.accounts.actions import begin_second_factor, confirm_second_factor
from apps.accounts.models import Authenticator, User
from apps.conversations.models import Profile
from apps.jobs.actions.bury import Death, bury
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.models import Item
from apps.lib.sealing import unseal
from tests.factories.accounts import make_api_key, make_user, make_workspace
from tests.factories.alerts import make_alert
from tests.factories.conversations import make_conversation, make_profile, make_turn
from tests.factories.files import make_file
from tests.factories.jobs import make_job, make_route
from tests.factories.knowledge import make_collection, upload
from tests.factories.prompts import make_prompt, make_version
from tests.factories.providers import make_model, make_provider
from tests.factories.recipes import make_document_job, make_recipe
from tests.factories.webhooks import URL, make_delivery, make_endpoint
from tests.spend.purses import make_budget


@dataclass(frozen=True)
class Case:
    """A POST that changes something, and the entry that it leaves."""

    post: Callable[[Client], Any]
    did: str
    to: str


# What stands in the entry of whatever is done with it.
WHY = "as agreed on Monday"


def address_of(name: str, *arguments: Any) -> str:
    """Of a page of the admin site, or of one that lies beside it."""
    try:
        return reverse(f"admin:{name}", args=arguments)
    except NoReverseMatch:
        return reverse(name, args=arguments)


def send(name: str, form: dict[str, Any], *arguments: Any) -> Callable[[Client], Any]:
    return lambda client: client.post(address_of(name, *[part() if callable(part) else part for part in arguments]), form)


def choose(name: str, action: str, row: Callable[[], Any], **form: Any) -> Callable[[Client], Any]:
    """An action of a list, for one row of it."""
    chosen = {"action": action, "reason": WHY} | form
    return lambda client: client.post(reverse(f"admin:{name}"), chosen | {"_selected_action": [row()]})


def user_form(**values: Any) -> dict[str, Any]:
    return {"username": "grace", "date_joined_0": "2026-11-20", "date_joined_1": "12:00:00", "is_staff": "on", "reason": WHY} | values


def no_rows(prefix: str) -> dict[str, Any]:
    return {f"{prefix}-TOTAL_FORMS": 0, f"{prefix}-INITIAL_FORMS": 0}


def provider_form(**values: Any) -> dict[str, Any]:
    return {
        "name": "backup", "kind": "openai", "base_url": "http://127.0.0.1:9/v1", "connect_timeout_seconds": 5, "read_timeout_seconds": 30,
        "total_timeout_seconds": 30, "is_enabled": "on", "api_key": "sk-very-secret-42", "reason": WHY,
    } | values  # fmt: skip


def price_form() -> dict[str, Any]:
    return {
        "provider_id": make_route().provider.pk, "upstream_model": "gpt-y", "effective_from_0": "2026-12-01", "effective_from_1": "00:00",
        "input_usd_per_million": "1", "output_usd_per_million": "2", "request_usd": "0", "reason": WHY,
    }  # fmt: skip


def own_budget() -> Any:
    return make_budget("workspace", workspace=make_workspace(), period="day", cap="5").pk


def remembered(**kept: Any) -> Profile:
    """A person who is remembered; `kept`: what the profile keeps instead of what its events come to."""
    profile = make_profile(make_workspace(), "ada")
    Profile.objects.filter(pk=profile.pk).update(**({"updated_at": timezone.now()} | kept))
    return profile


def dead_job() -> Any:
    return make_job(status=JobStatus.RUNNING).pk


OWN_PASSWORD = {
    "old_password": "a long enough password", "new_password1": "correct horse battery", "new_password2": "correct horse battery",
}  # fmt: skip
PASSWORD = {"password1": "correct horse battery", "password2": "correct horse battery", "usable_password": "true", "reason": WHY}


def change_dead(**form: str) -> Callable[[Client], Any]:
    def post(client: Client) -> Any:
        item = Item.objects.get(pk=make_job(status=JobStatus.RUNNING).items.filter(state="dead").values_list("pk", flat=True)[0])
        bury([Death(item.pk, "rejected", "bad", "no")])
        item.refresh_from_db()
        return client.post(f"{reverse('admin:jobs_item_dead')}?group={item.fingerprint}", form | {"step": "do", "reason": WHY})

    return post


def whoever(client: Client) -> User | None:
    """Who has signed in with this client to the back office."""
    request = HttpRequest()
    request.session = client.session
    user = get_user(request)
    return user if isinstance(user, User) and user.is_staff else None


def code_of(user: User, step: int) -> str:
    """What the user's app shows now, or so many steps from now."""
    row = Authenticator.objects.get(user=user)
    totp = TOTP(b32decode(unseal(row.secret_sealed, keys=settings.ENCRYPTION_KEYS, owner=row.seal_owner)))
    totp.time = timezone.now().timestamp() + 30 * step
    return f"{totp.token():06}"


def give_factor(user: User, *, step: int = 0) -> Authenticator:
    """As if the user had set one up with the code of this step."""
    mark = begin_second_factor(user).mark
    device, _ = confirm_second_factor(user, code=code_of(user, step), mark=mark, now=timezone.now())
    return device


def set_up_factor(client: Client) -> Any:
    page, user = reverse("second-factor"), whoever(client)
    client.get(page)
    return client.post(page, {"code": code_of(user, 0) if user else "123456"})


def change_factor(action: str) -> Callable[[Client], Any]:
    """By somebody who has one, in a session that has shown a code."""

    def post(client: Client) -> Any:
        page, user = reverse("second-factor"), whoever(client)
        if user is None:
            return client.post(page, {"action": action, "code": "123456"})
        device = give_factor(user, step=-1)
        session = client.session
        session[DEVICE_ID_SESSION_KEY] = device.persistent_id
        session.save()
        return client.post(page, {"action": action, "code": code_of(user, 0)})

    return post


def somebody_with_a_factor() -> Any:
    user = make_user("grace")
    give_factor(user)
    return user.pk


def new_job(client: Client) -> Any:
    make_route()
    form = {
        "workspace": make_workspace().pk, "upload": SimpleUploadedFile("a.csv", b"text\nhello\n"), "model": "small",
        "user": "Say {{text}}", "lane": "default", "step": "submit",
    }  # fmt: skip
    return client.post(reverse("admin:jobs_job_new"), form)


def new_document_job(client: Client) -> Any:
    make_route("tiny")
    collection = make_collection(name="answers")
    upload("Text.", collection=collection)
    form = {
        "collection": collection.pk, "recipe": make_recipe(make_workspace()).pk, "which": "all", "lane": "default", "step": "submit",
    }  # fmt: skip
    return client.post(reverse("admin:jobs_job_new_documents"), form)


def try_out(client: Client) -> Any:
    make_route()
    version = make_version(user="Say {{ what }}.", variables=[{"name": "what"}])
    path = f"{reverse('admin:jobs_job_try')}?prompt={version.prompt_id}&version=1"
    return client.post(path, {"model": "small", "value_what": "hello"})


def begin_chat(client: Client) -> Any:
    make_route()
    path = f"{reverse('admin:jobs_job_chat_new')}?workspace={make_workspace().name}"
    return client.post(path, {"model": "small", "window_tokens": "4096"})


def change_chat(client: Client) -> Any:
    make_route()
    path = reverse("admin:jobs_job_chat", args=[make_conversation(make_workspace()).pk])
    return client.post(path, {"model": "small", "window_tokens": "4096", "instructions": "Be brief."})


def talked_of() -> Any:
    conversation = make_conversation(make_workspace())
    make_turn(conversation)
    return conversation.pk


def declare_recipe_page(client: Client) -> Any:
    make_route()
    form = {
        "workspace": make_workspace().pk,
        "name": "refunds",
        "model": "small",
        "question": "When is money paid back?",
        "each": "document",
    }
    return client.post(f"{reverse('admin:jobs_recipe_add')}?kind=ask", form)


def take_prices(client: Client) -> Any:
    provider = make_provider(base_url="https://api.openai.com/v1")
    make_model("priced", provider).targets.update(upstream_model="gpt-4o-mini")
    page = client.get(reverse("admin:providers_provider_prices"))
    seen = page.context["changes"] if page.status_code == 200 else ()
    return client.post(reverse("admin:providers_provider_prices"), {"chosen": [change.key for change in seen], "reason": WHY})


CHANGES: dict[str, Case] = {
    "providers_provider_prices": Case(take_prices, "imported", "price list"),
    "jobs_job_new": Case(new_job, "submitted", "job"),
    "jobs_job_pause": Case(send("jobs_job_pause", {"reason": WHY}, dead_job), "paused", "job"),
    "jobs_job_resume": Case(send("jobs_job_resume", {"reason": WHY}, lambda: make_job(status=JobStatus.PAUSED).pk), "resumed", "job"),
    "jobs_job_cancel": Case(send("jobs_job_cancel", {"reason": WHY}, dead_job), "cancelled", "job"),
    "jobs_job_rerun": Case(send("jobs_job_rerun", {"reason": WHY}, dead_job), "rerun", "job"),
    "jobs_job_lane": Case(send("jobs_job_lane", {"lane": "bulk", "reason": WHY}, dead_job), "moved to another lane", "job"),
    "jobs_item_dead:requeue": Case(change_dead(), "requeued", "job"),
    "jobs_item_dead:discard": Case(change_dead(act="discard"), "discarded", "job"),
    "files_file_discard": Case(send("files_file_discard", {"reason": WHY}, lambda: make_file().pk), "deleted", "file"),
    "accounts_workspace_add": Case(
        send("accounts_workspace_add", {"name": "globex", "time_zone": "UTC", "reason": WHY} | no_rows("members")), "added", "workspace"
    ),
    "accounts_workspace_change": Case(
        send(
            "accounts_workspace_change",
            {"name": "acme", "time_zone": "Europe/Berlin", "reason": WHY} | no_rows("members"),
            lambda: make_workspace().pk,
        ),
        "changed",
        "workspace",
    ),
    "accounts_apikey_add": Case(
        lambda client: client.post(
            reverse("admin:accounts_apikey_add"), {"workspace": make_workspace().pk, "name": "nightly", "scopes": ["files"], "reason": WHY}
        ),
        "created",
        "API key",
    ),
    "accounts_apikey_change": Case(
        send("accounts_apikey_change", {"name": "renamed", "scopes": ["files"], "reason": WHY}, lambda: make_api_key()[0].pk),
        "changed",
        "API key",
    ),
    "accounts_apikey_changelist:revoke": Case(
        choose("accounts_apikey_changelist", "revoke", lambda: make_api_key()[0].pk, confirmed="yes"), "revoked", "API key"
    ),
    "accounts_workspace_erase": Case(
        send("accounts_workspace_erase", {"name": "acme", "reason": WHY}, lambda: make_workspace().pk), "deleted", "workspace"
    ),
    "second-factor:set_up": Case(set_up_factor, "set up the second factor", "user"),
    "second-factor:renew": Case(change_factor("renew"), "renewed the recovery codes", "user"),
    "second-factor:end": Case(change_factor("end"), "switched the second factor off", "user"),
    "accounts_user_add": Case(send("accounts_user_add", {"username": "grace"} | PASSWORD), "added", "user"),
    "accounts_user_change": Case(
        send("accounts_user_change", user_form(email="g@example.org"), lambda: make_user("grace").pk), "changed", "user"
    ),
    "auth_user_password_change": Case(send("auth_user_password_change", PASSWORD, lambda: make_user("grace").pk), "changed", "user"),
    "password_change": Case(send("password_change", OWN_PASSWORD), "changed", "user"),
    "accounts_user_delete": Case(
        send("accounts_user_delete", {"post": "yes", "reason": WHY}, lambda: make_user("grace").pk), "deleted", "user"
    ),
    "accounts_user_changelist:delete_selected": Case(
        choose("accounts_user_changelist", "delete_selected", lambda: make_user("grace").pk, post="yes"), "deleted", "user"
    ),
    "accounts_user_changelist:reset_second_factor": Case(
        choose("accounts_user_changelist", "reset_second_factor", somebody_with_a_factor, confirmed="yes"),
        "switched the second factor off",
        "user",
    ),
    "auth_group_changelist:delete_selected": Case(
        choose("auth_group_changelist", "delete_selected", lambda: Group.objects.create(name="night shift").pk, post="yes"),
        "deleted",
        "group",
    ),
    "providers_provider_changelist:delete_selected": Case(
        choose("providers_provider_changelist", "delete_selected", lambda: make_route().provider.pk, post="yes"), "deleted", "provider"
    ),
    "providers_model_changelist:delete_selected": Case(
        choose("providers_model_changelist", "delete_selected", lambda: make_route().model.pk, post="yes"), "deleted", "model"
    ),
    "auth_group_add": Case(send("auth_group_add", {"name": "night shift", "reason": WHY}), "added", "group"),
    "auth_group_change": Case(
        send("auth_group_change", {"name": "day shift", "reason": WHY}, lambda: Group.objects.create(name="night shift").pk),
        "changed",
        "group",
    ),
    "auth_group_delete": Case(
        send("auth_group_delete", {"post": "yes", "reason": WHY}, lambda: Group.objects.create(name="night shift").pk), "deleted", "group"
    ),
    "providers_provider_add": Case(send("providers_provider_add", provider_form()), "added", "provider"),
    "providers_provider_change": Case(
        send("providers_provider_change", provider_form(name="primary"), lambda: make_route().provider.pk), "changed", "provider"
    ),
    "providers_provider_delete": Case(
        send("providers_provider_delete", {"post": "yes", "reason": WHY}, lambda: make_route().provider.pk), "deleted", "provider"
    ),
    "providers_provider_switch": Case(
        send("providers_provider_switch", {"reason": WHY}, lambda: make_route().provider.pk), "paused", "provider"
    ),
    "providers_provider_switch_target": Case(
        send("providers_provider_switch_target", {"reason": WHY}, lambda: make_route().target.pk), "paused", "target"
    ),
    "providers_model_add": Case(
        send("providers_model_add", {"name": "large", "max_output_tokens": 100, "is_enabled": "on", "reason": WHY} | no_rows("targets")),
        "added",
        "model",
    ),
    "providers_model_change": Case(
        send(
            "providers_model_change",
            {"name": "small", "max_output_tokens": 77, "is_enabled": "on", "reason": WHY} | no_rows("targets"),
            lambda: make_route().model.pk,
        ),
        "changed",
        "model",
    ),
    "providers_model_delete": Case(
        send("providers_model_delete", {"post": "yes", "reason": WHY}, lambda: make_route().model.pk), "deleted", "model"
    ),
    "webhooks_endpoint_add": Case(
        lambda client: client.post(
            reverse("admin:webhooks_endpoint_add"),
            {"workspace": make_workspace().pk, "name": "a", "url": URL, "events": ["batch.failed"], "reason": WHY},
        ),
        "created",
        "webhook endpoint",
    ),
    "webhooks_endpoint_change": Case(
        send(
            "webhooks_endpoint_change",
            {"name": "renamed", "url": URL, "events": ["batch.failed"], "is_enabled": "on", "reason": WHY},
            lambda: make_endpoint().pk,
        ),
        "changed",
        "webhook endpoint",
    ),
    "webhooks_endpoint_delete": Case(
        send("webhooks_endpoint_delete", {"post": "yes", "reason": WHY}, lambda: make_endpoint().pk), "deleted", "webhook endpoint"
    ),
    "webhooks_endpoint_test": Case(send("webhooks_endpoint_test", {}, lambda: make_endpoint().pk), "tested", "webhook endpoint"),
    "webhooks_endpoint_rotate": Case(
        send("webhooks_endpoint_rotate", {"reason": WHY}, lambda: make_endpoint().pk), "rotated secret", "webhook endpoint"
    ),
    "webhooks_delivery_again": Case(
        send("webhooks_delivery_again", {"reason": WHY}, lambda: make_delivery().pk), "sent again", "webhook delivery"
    ),
    "webhooks_alert_acknowledge": Case(
        send("webhooks_alert_acknowledge", {"reason": WHY}, lambda: make_alert().pk), "acknowledged", "alert"
    ),
    "spend_budget_add": Case(
        lambda client: client.post(
            reverse("admin:spend_budget_add"),
            {"scope": "workspace", "workspace": make_workspace().pk, "period": "day", "cap_usd": "5", "is_hard": "on", "reason": WHY},
        ),
        "added",
        "budget",
    ),
    "spend_budget_change": Case(
        send("spend_budget_change", {"cap_usd": "7", "is_hard": "on", "is_active": "on", "reason": WHY}, own_budget),
        "changed",
        "budget",
    ),
    "spend_budget_top_up": Case(send("spend_budget_top_up", {"amount_usd": "7", "reason": WHY}, own_budget), "topped up", "budget"),
    "jobs_job_try": Case(try_out, "submitted", "job"),
    "knowledge_collection_add": Case(
        lambda client: client.post(
            reverse("admin:knowledge_collection_add"),
            {
                "workspace": make_workspace().pk,
                "name": "handbook",
                "language": "simple",
                "embedder": "wordllama-256",
                "dimensions": 256,
            },
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
        send("knowledge_document_discard", {"reason": WHY}, lambda: upload("Text.", collection=make_collection(name="old")).document.pk),
        "deleted",
        "document",
    ),
    "knowledge_collection_describe": Case(
        send("knowledge_collection_describe", {"description": "What we know."}, lambda: make_collection(name="old").pk),
        "changed",
        "collection",
    ),
    "knowledge_collection_discard": Case(
        send("knowledge_collection_discard", {"name": "old", "reason": WHY}, lambda: make_collection(name="old").pk),
        "deleted",
        "collection",
    ),
    "conversations_profile_set": Case(
        send("conversations_profile_set", {"key": "town", "text": "London", "reason": WHY}, lambda: remembered().pk), "set", "memory"
    ),
    "conversations_profile_forget": Case(
        send("conversations_profile_forget", {"key": "name", "reason": WHY}, lambda: remembered().pk), "forgot", "memory"
    ),
    "conversations_profile_rebuild": Case(
        send("conversations_profile_rebuild", {"reason": WHY}, lambda: remembered(memory={}).pk), "rebuilt", "memory"
    ),
    "conversations_profile_discard": Case(
        send("conversations_profile_discard", {"name": "ada", "reason": WHY}, lambda: remembered().pk), "erased", "memory"
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
    "jobs_job_answer": Case(
        send("jobs_job_answer", {"answer": "Better."}, lambda: make_document_job(make_workspace()).pk), "corrected", "job"
    ),
    "jobs_job_new_documents": Case(new_document_job, "submitted", "job"),
    "jobs_job_chat_new": Case(begin_chat, "created", "conversation"),
    "jobs_job_chat": Case(change_chat, "changed", "conversation"),
    "jobs_job_chat_say": Case(send("jobs_job_chat_say", {"input": "Hello"}, talked_of), "asked", "conversation"),
    "jobs_job_chat_fork": Case(send("jobs_job_chat_fork", {"version": "1"}, talked_of), "forked", "conversation"),
    "jobs_job_chat_delete": Case(send("jobs_job_chat_delete", {}, talked_of), "deleted", "conversation"),
    "jobs_recipe_add": Case(declare_recipe_page, "declared", "recipe"),
    "jobs_recipe_archive": Case(send("jobs_recipe_archive", {}, lambda: make_recipe(make_workspace()).pk), "archived", "recipe"),
    "spend_price_add": Case(lambda client: client.post(reverse("admin:spend_price_add"), price_form()), "added", "price"),
}
# Nobody is asked why: what is submitted says what it is for, and so does a prompt; a test event changes nothing; and what people do to
# their own password and second factor needs no reason.
OTHER_WHY = dict.fromkeys(
    (
        "jobs_job_new", "jobs_job_try", "webhooks_endpoint_test", "password_change", "second-factor:set_up", "second-factor:renew",
        "knowledge_collection_add", "knowledge_collection_upload", "knowledge_collection_describe",
        "prompts_prompt_add", "prompts_prompt_draft", "prompts_prompt_publish", "prompts_prompt_archive",
        "jobs_recipe_add", "jobs_recipe_archive", "jobs_job_answer", "jobs_job_new_documents",
        "jobs_job_chat_new", "jobs_job_chat", "jobs_job_chat_say", "jobs_job_chat_fork", "jobs_job_chat_delete",
    ),
    "",
) | {"second-factor:end": "by themselves"}  # fmt: skip
# Where nothing is done without one: what changes money, and who gets in and what they may do there.
WHY_NEEDED = {
    "providers_provider_prices", "spend_price_add", "spend_budget_add", "spend_budget_change", "spend_budget_top_up",
    "jobs_job_rerun", "jobs_item_dead:requeue", "jobs_item_dead:discard",
    "providers_provider_switch", "providers_provider_switch_target",
    "providers_provider_changelist:delete_selected", "providers_model_changelist:delete_selected",
    "providers_provider_change", "providers_provider_delete", "providers_model_change", "providers_model_delete",
    "accounts_workspace_change", "accounts_apikey_add", "accounts_apikey_change", "accounts_apikey_changelist:revoke",
    "accounts_workspace_erase", "conversations_profile_set", "conversations_profile_forget", "conversations_profile_discard",
    "accounts_user_add", "accounts_user_change", "auth_user_password_change", "accounts_user_delete",
    "accounts_user_changelist:delete_selected", "accounts_user_changelist:reset_second_factor",
    "auth_group_add", "auth_group_change", "auth_group_delete", "auth_group_changelist:delete_selected",
}  # fmt: skip
# These change nothing that others see or pay for.
HARMLESS = {
    "conversations_conversation_change", "conversations_probe_now",
    "providers_provider_desk",
    "index", "login", "logout", "password_change_done", "autocomplete", "jsi18n", "view_on_site", "app_list", "search",
    "jobs_job_progress", "jobs_job_documents", "jobs_job_errors", "jobs_item_by_model", "jobs_job_download", "files_file_content",
    "prompts_prompt_compare", "jobs_recipe_compare", "spend_charge_overview", "spend_charge_overview_csv",
}  # fmt: skip
# Template and value of each button that chooses among the actions of one route, and which change it is; None: it changes nothing.
BUTTONS = {
    ("accounts/second_factor_enter.html", "leave"): None,
    ("accounts/second_factor_set_up.html", "leave"): None,
    ("accounts/second_factor.html", "renew"): "second-factor:renew",
    ("accounts/second_factor.html", "end"): "second-factor:end",
    ("accounts/revoke.html", "revoke"): "accounts_apikey_changelist:revoke",
    ("accounts/reset_second_factor.html", "reset_second_factor"): "accounts_user_changelist:reset_second_factor",
    ("jobs/dead.html", "look"): None,
    ("jobs/dead.html", "do"): "jobs_item_dead:requeue",
    ("jobs/dead.html", "discard"): "jobs_item_dead:discard",
    ("jobs/new_job.html", "preview"): None,
    ("jobs/new_job.html", "submit"): "jobs_job_new",
    ("jobs/new_documents.html", "preview"): None,
    ("jobs/new_documents.html", "submit"): "jobs_job_new_documents",
    ("jobs/try_prompt.html", "preview"): None,
    ("jobs/try_prompt.html", "submit"): "jobs_job_try",
}
_BUTTON = re.compile(r'<(?:button|input)\b[^>]*\bname="(?:action|act|step)"[^>]*\bvalue="(\w+)"')
_NAMED_BUTTON = re.compile(r'<button\b[^>]*\bname="(\w+)"')


def buttons() -> Iterator[tuple[str, str]]:
    """What the forms of our templates may ask a route for, as (template, value)."""
    for template, text in _templates():
        yield from ((template, value) for value in _BUTTON.findall(text))


def names_of_buttons() -> set[str]:
    return {name for _, text in _templates() for name in _NAMED_BUTTON.findall(text)}


def _templates() -> Iterator[tuple[str, str]]:
    for file in sorted(Path(settings.BASE_DIR).glob("apps/*/templates/**/*.html")):
        yield file.relative_to(next(part for part in file.parents if part.name == "templates")).as_posix(), file.read_text()


def list_actions() -> Iterator[str]:
    """The actions that the lists of the admin site offer a superuser, as `route:action`."""
    request = RequestFactory().get("/admin/")
    request.user = User(username="root", is_superuser=True, is_staff=True, is_active=True)
    for table, page in admin.site._registry.items():
        for action in page.get_actions(request):
            yield f"{table._meta.app_label}_{table._meta.model_name}_changelist:{action}"


def _routes(patterns: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern) and pattern.name:
            yield pattern.name, path


def routes() -> dict[str, str]:
    """Name -> path of every route below /admin/, whether the admin site or an app answers it. Those elsewhere: test_key_table.py."""
    return {name: path for name, path in _routes(get_resolver().url_patterns) if path.startswith("admin/")}
