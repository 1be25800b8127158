"""Every change that the back office offers, by every kind of person: who brings it about, and who doesn't.

The changes are the cases of changes.py, which a new page, and a new action of one, has to have; that each page answers everybody as it
should is in test_admin_isolation.py. What was done is told by the audit log: each change leaves an entry.
"""

from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from apps.accounts.models import AuditEntry, Role
from tests.accounts.changes import CHANGES
from tests.accounts.test_admin_isolation import ask, make_world, pages, site_pages
from tests.factories.accounts import make_api_key, make_office_client, make_user, make_workspace
from tests.faults import figure

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(900)]

# The least that somebody has to be in the workspace `acme`, whose rows the changes are about; "staff": whoever signs in, of their own.
_LEAST = """
providers_provider_prices        superuser
providers_provider_add           superuser
providers_provider_change        superuser
providers_provider_delete        superuser
providers_provider_switch        superuser
providers_provider_switch_target superuser
providers_model_add              superuser
providers_model_change           superuser
providers_model_delete           superuser
spend_price_add                  superuser
accounts_workspace_add           superuser
accounts_user_add                superuser
accounts_user_change             superuser
auth_user_password_change        superuser
accounts_user_delete             superuser
accounts_user_changelist:delete_selected superuser
accounts_user_changelist:reset_second_factor superuser
auth_group_changelist:delete_selected superuser
providers_provider_changelist:delete_selected superuser
providers_model_changelist:delete_selected superuser
auth_group_add                   superuser
auth_group_change                superuser
auth_group_delete                superuser
accounts_workspace_change        owner
accounts_apikey_add              owner
accounts_apikey_change           owner
accounts_apikey_changelist:revoke owner
accounts_workspace_erase         owner
webhooks_endpoint_add            owner
webhooks_endpoint_change         owner
webhooks_endpoint_delete         owner
webhooks_endpoint_rotate         owner
spend_budget_add                 owner
spend_budget_change              owner
spend_budget_top_up              owner
webhooks_endpoint_test           owner
webhooks_delivery_again          member
webhooks_alert_acknowledge       member
files_file_discard               member
knowledge_collection_add         member
knowledge_collection_upload      member
knowledge_collection_describe    member
knowledge_collection_discard     member
knowledge_document_discard       member
jobs_job_chat_new                member
jobs_job_chat                    member
jobs_job_chat_say                member
jobs_job_chat_fork               member
jobs_job_chat_delete             member
conversations_profile_set        member
conversations_profile_forget     member
conversations_profile_rebuild    member
conversations_profile_discard    member
prompts_prompt_add               member
prompts_prompt_draft             member
prompts_prompt_publish           member
prompts_prompt_archive           member
jobs_job_answer                  member
jobs_job_new_documents           member
jobs_recipe_add                  member
jobs_recipe_archive              member
jobs_job_new                     member
jobs_job_try                     member
jobs_job_pause                   member
jobs_job_resume                  member
jobs_job_cancel                  member
jobs_job_rerun                   member
jobs_job_lane                    member
jobs_item_dead:requeue           member
jobs_item_dead:discard           member
password_change                  staff
second-factor:set_up             staff
second-factor:renew              staff
second-factor:end                staff
"""
LEAST = dict(line.split() for line in _LEAST.strip().splitlines())
RANKS = ("viewer", "member", "owner", "superuser")
# An owner of another workspace; one of ours who may not sign in to the back office; who has only a key of the API, with every scope.
OUTSIDE = ("anonymous", "key", "stranger", "outsider", "not staff")
STAFF = ("stranger", "outsider", *RANKS)


def sign_in(who: str) -> Client:
    if who == "anonymous":
        return Client()
    if who == "key":
        return Client(headers={"Authorization": f"Bearer {make_api_key()[1]}"})
    if who == "superuser":
        return make_office_client()
    roles: dict[str, Any] = {
        "outsider": {"other": Role.OWNER},
        "not staff": {"acme": Role.OWNER},
        **{role: {"acme": Role(role)} for role in RANKS[:-1]},
    }
    return make_office_client(make_user(f"the {who}", is_staff=who != "not staff", **roles.get(who, {})))


def test_every_change_has_its_line() -> None:
    assert set(LEAST) == set(CHANGES), "add the new change to _LEAST"


@pytest.mark.parametrize("who", [*OUTSIDE, *RANKS])
def test_who_may_change_something_does_and_nobody_else(who: str) -> None:
    make_workspace("acme")
    client = sign_in(who)
    session = client.cookies["sessionid"].value if "sessionid" in client.cookies else ""
    wrong = []
    for name, case in CHANGES.items():
        with transaction.atomic():
            before = set(AuditEntry.objects.values_list("id", flat=True))
            status = case.post(client).status_code
            did = AuditEntry.objects.exclude(id__in=before).filter(verb=case.did, actor_kind="user").exists()
            transaction.set_rollback(True)
        if session:
            # A changed password makes a new session, which was taken back as well.
            client.cookies["sessionid"] = session
        least = LEAST[name]
        may = who in STAFF if least == "staff" else who in RANKS and RANKS.index(who) >= RANKS.index(least)
        if did != may or status >= 500:
            wrong.append((name, status, "did" if did else "did not"))
    figure("Roles", f"{who}: {len(CHANGES)} changes, wrong {len(wrong)}")
    assert wrong == []


def test_no_change_is_made_without_the_token_of_its_form() -> None:
    """A page elsewhere can have a browser send what it likes, cookie included."""
    make_workspace("acme")
    client = make_office_client()
    client.handler.enforce_csrf_checks = True
    done = []
    for name, case in CHANGES.items():
        with transaction.atomic():
            before = AuditEntry.objects.filter(actor_kind="user").count()
            status = case.post(client).status_code
            if status != 403 or AuditEntry.objects.filter(actor_kind="user").count() > before:
                done.append((name, status))
            transaction.set_rollback(True)
    figure("Roles", f"a page elsewhere: {len(CHANGES)} changes, done {len(done)}")
    assert done == []


def test_a_key_of_the_api_opens_no_page_of_the_back_office() -> None:
    rows = make_world()
    client = sign_in("key")
    paths = [page.path(rows[page.row_model].pk) for page in pages()]
    paths += ["/" + route for route in site_pages() if not {"<", "("} & set(route) and route != "admin/login/"]
    opened = [(method, path, status) for path in paths for method in ("GET", "POST") if (status := ask(client, method, path)[0]) != 302]
    figure("Roles", f"key: {2 * len(paths)} requests, opened {len(opened)}")
    assert len(paths) > 80
    assert opened == []
