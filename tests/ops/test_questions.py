"""What can't be undone is asked about first, on whatever page it stands; and whoever adds an action says which kind it is."""

import re
from typing import Any

import pytest
from django.urls import resolve, reverse

from apps.accounts.models import ApiKey
from apps.files.models import File
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.models import Job
from tests.accounts.changes import CHANGES
from tests.accounts.test_admin_isolation import pages
from tests.browser.lived_in import live_in
from tests.factories.accounts import make_api_key, make_office_client, make_user, make_workspace
from tests.factories.conversations import make_conversation, make_profile
from tests.factories.files import make_file
from tests.factories.jobs import make_job
from tests.factories.knowledge import make_collection, upload
from tests.factories.prompts import make_version
from tests.factories.recipes import make_recipe

pytestmark = pytest.mark.django_db

# Done at the first click, because another click takes it back; or a form that somebody fills in and saves.
_AT_ONCE = {
    "jobs_job_pause", "jobs_job_resume", "jobs_job_lane", "auth_user_password_change", "webhooks_endpoint_test", "webhooks_delivery_again",
    "webhooks_alert_acknowledge", "jobs_job_chat_say", "jobs_job_chat_fork", "conversations_profile_rebuild",
}  # fmt: skip
_FORMS = (
    *("_add", "_describe", "jobs_job_answer", "jobs_job_new_documents", "_change", "_draft", "_upload", "jobs_job_new", "jobs_job_try"),
    *("jobs_job_chat_new", "jobs_job_chat", "conversations_profile_set"),
    "second-factor",
)
# A page of its own asks; lists ask after their action was chosen.
_ASKED = {
    "jobs_job_cancel", "jobs_job_rerun", "files_file_discard", "jobs_item_dead", "webhooks_endpoint_rotate", "providers_provider_switch",
    "providers_provider_switch_target", "spend_budget_top_up", "providers_provider_prices",
    "prompts_prompt_publish", "prompts_prompt_archive", "jobs_recipe_archive", "knowledge_document_discard", "knowledge_collection_discard",
    "accounts_workspace_erase", "conversations_profile_forget", "conversations_profile_discard",
}  # fmt: skip
_ASKED_ENDINGS = ("_delete", "_changelist")


def test_every_action_is_of_one_kind() -> None:
    names = {key.partition(":")[0] for key in CHANGES}
    unknown = [name for name in names if name not in _AT_ONCE | _ASKED and not name.endswith(_FORMS) and not name.endswith(_ASKED_ENDINGS)]
    assert unknown == []


def test_no_page_but_the_question_does_what_cannot_be_undone() -> None:
    live_in()
    office = make_office_client()
    found = []
    for page in pages():
        row = page.row_model._default_manager.order_by("-pk").first()
        path = page.path(row.pk if row else "x")
        answer = office.get(path)
        if answer.streaming:
            answer.getvalue()
        if answer.status_code != 200 or answer.streaming:
            continue
        for form in re.findall(r"<form[^>]*>", answer.content.decode()):
            action = re.search(r'action="([^"]*)"', form)
            if 'method="post"' not in form or not action or not action[1].startswith("/admin/"):
                continue
            name = resolve(action[1].split("?")[0]).url_name
            if (name in _ASKED or name.endswith(_ASKED_ENDINGS)) and not path.startswith(action[1]):
                found.append((path, name))
    assert found == []


QUESTIONS: dict[str, tuple[str, Any]] = {
    "jobs_job_chat_delete": ("be brought back", lambda: make_conversation(make_workspace()).pk),
    "jobs_job_cancel": ("Cancelling can&#x27;t be undone|Cancelling can't be undone", lambda: make_job().pk),
    "jobs_job_rerun": ("each new answer is charged", lambda: make_job(status=JobStatus.COMPLETED).pk),
    "prompts_prompt_publish": (
        "can&#x27;t be changed any more|can't be changed any more",
        lambda: make_version(is_published=False).prompt_id,
    ),
    "prompts_prompt_archive": ("are refused from now on", lambda: make_version().prompt_id),
    "jobs_recipe_archive": ("can&#x27;t use|can't use", lambda: make_recipe(make_workspace()).pk),
    "knowledge_document_discard": ("deleted for good", lambda: upload("Text.").document.pk),
    "knowledge_collection_discard": ("Write its name to delete it", lambda: make_collection().pk),
    "conversations_profile_discard": ("goes for good", lambda: make_profile(make_workspace(), "ada").pk),
    "files_file_discard": ("at once and for good", lambda: make_file().pk),
    "accounts_user_delete": ("Are you sure", lambda: make_user("grace").pk),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_says_what_becomes_of_it_and_has_a_way_back(name: str) -> None:
    words, make = QUESTIONS[name]
    office = make_office_client()
    page = office.get(reverse(f"admin:{name}", args=[make()])).content.decode()
    assert re.search(words, page)
    assert re.search(r'<a class="button" href|No, take me back|cancel-link', page)
    assert (Job.objects.filter(status=JobStatus.CANCELLING).count(), File.objects.exclude(deleted_at=None).count()) == (0, 0)


def test_keys_are_revoked_after_the_question_alone() -> None:
    key, _ = make_api_key()
    office = make_office_client()
    chosen = {"action": "revoke", "_selected_action": [str(key.pk)]}
    assert "can't be undone" in office.post(reverse("admin:accounts_apikey_changelist"), chosen).content.decode()
    assert ApiKey.objects.get(pk=key.pk).revoked_at is None
