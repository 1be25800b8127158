"""Accounts in the back office: who sees what, and a key's secret shown once."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts.actions import authenticate_key, revoke_api_key
from apps.accounts.admin.keys import ApiKeyAdmin
from apps.accounts.models import ApiKey, Role, User
from apps.lib.http_errors import ApiError
from tests.factories.accounts import make_api_key, make_office_client, make_user, make_workspace

pytestmark = pytest.mark.django_db
KEYS = "admin:accounts_apikey_changelist"


@pytest.fixture
def office() -> Client:
    return make_office_client()


def test_a_key_that_is_revoked_while_its_form_is_saved_stays_revoked(office: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    key, _ = make_api_key()
    save_form = ApiKeyAdmin.save_form

    def meanwhile(*arguments: Any, **options: Any) -> Any:
        revoke_api_key(key_id=key.pk, now=timezone.now())
        return save_form(*arguments, **options)

    monkeypatch.setattr(ApiKeyAdmin, "save_form", meanwhile)
    assert (
        office.post(
            reverse("admin:accounts_apikey_change", args=[key.pk]), {"name": "renamed", "scopes": ["files"], "reason": "as agreed"}
        ).status_code
        == 302
    )
    key.refresh_from_db()
    assert (key.name, key.scopes, key.revoked_at is None) == ("renamed", ["files"], False)


def add_key(client: Client, workspace: str = "acme", **values: object) -> str:
    """The page that follows."""
    form = {"workspace": make_workspace(workspace).pk, "name": "nightly", "scopes": ["batches", "files"], "reason": "as agreed"} | values
    return client.post(reverse("admin:accounts_apikey_add"), form, follow=True).content.decode()


def test_a_new_keys_secret_is_shown_once_and_opens_the_door(office: Client) -> None:
    page = add_key(office)
    secret = re.search(r'id="new-key"[^>]* value="([^"]+)"', page)
    assert secret
    key = authenticate_key(f"Bearer {secret[1]}", now=timezone.now())
    assert (key.name, key.scopes, key.created_by) == ("nightly", ["batches", "files"], User.objects.get(username="root"))
    assert secret[1] not in office.get(reverse(KEYS)).content.decode()
    assert secret[1] not in office.get(reverse("admin:accounts_apikey_change", args=[key.pk])).content.decode()


def test_a_key_without_scopes_is_refused_and_nothing_is_made(office: Client) -> None:
    page = add_key(office, scopes=[])
    assert "required" in page
    assert not ApiKey.objects.exists()


def test_revoking_asks_first(office: Client) -> None:
    key, _ = make_api_key()
    asked = office.post(reverse(KEYS), {"action": "revoke", "_selected_action": [key.pk]})
    assert "Revoke" in asked.content.decode()
    key.refresh_from_db()
    assert key.revoked_at is None


def test_a_revoked_key_is_refused_at_once(office: Client) -> None:
    key, secret = make_api_key()
    office.post(reverse(KEYS), {"action": "revoke", "_selected_action": [key.pk], "confirmed": "yes", "reason": "as agreed"})
    with pytest.raises(ApiError) as refused:
        authenticate_key(f"Bearer {secret}", now=timezone.now())
    assert refused.value.status == 401


def test_staff_see_the_keys_of_their_workspaces_alone() -> None:
    ours, _ = make_api_key(make_workspace("acme"))
    theirs, _ = make_api_key(make_workspace("globex"))
    page = make_office_client(make_user(acme=Role.OWNER)).get(reverse(KEYS)).content.decode()
    assert ours.prefix in page
    assert theirs.prefix not in page
    assert "globex" not in page


def test_a_foreign_key_is_as_unknown_as_none() -> None:
    theirs, _ = make_api_key(make_workspace("globex"))
    client = make_office_client(make_user(acme=Role.OWNER))
    answer = client.get(reverse("admin:accounts_apikey_change", args=[theirs.pk]))
    assert (answer.status_code, answer.headers["Location"]) == (302, reverse("admin:index"))


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER])
def test_only_owners_revoke(role: Role) -> None:
    key, _ = make_api_key(make_workspace("acme"))
    client = make_office_client(make_user(acme=role))
    client.post(reverse(KEYS), {"action": "revoke", "_selected_action": [key.pk], "confirmed": "yes", "reason": "as agreed"})
    key.refresh_from_db()
    assert key.revoked_at is None


@pytest.mark.parametrize(("role", "status"), [(Role.VIEWER, 403), (Role.MEMBER, 403), (Role.OWNER, 200)])
def test_only_owners_make_keys(role: Role, status: int) -> None:
    client = make_office_client(make_user(acme=role))
    assert client.get(reverse("admin:accounts_apikey_add")).status_code == status


def test_an_owner_can_not_make_a_key_of_another_workspace() -> None:
    client = make_office_client(make_user(acme=Role.OWNER))
    page = add_key(client, workspace="globex")
    assert "valid choice" in page
    assert not ApiKey.objects.exists()


def test_a_key_can_not_be_moved_to_another_workspace(office: Client) -> None:
    key, _ = make_api_key(make_workspace("acme"))
    form = {"workspace": make_workspace("globex").pk, "name": "renamed", "scopes": ["files"], "reason": "as agreed"}
    office.post(reverse("admin:accounts_apikey_change", args=[key.pk]), form)
    key.refresh_from_db()
    assert (key.workspace.name, key.name, key.scopes) == ("acme", "renamed", ["files"])


def test_an_owner_can_not_make_themselves_more(office: Client) -> None:
    owner = make_user(acme=Role.OWNER)
    client = make_office_client(owner)
    assert client.get(reverse("admin:accounts_user_changelist")).status_code == 403
    assert client.get(reverse("admin:accounts_user_change", args=[owner.pk])).status_code == 403
    assert client.get(reverse("admin:auth_group_changelist")).status_code == 403


def test_a_workspaces_members_stand_on_its_page(office: Client) -> None:
    make_user("grace", acme=Role.VIEWER)
    page = office.get(reverse("admin:accounts_workspace_change", args=[make_workspace("acme").pk])).content.decode()
    assert "grace" in page


@pytest.mark.parametrize(("role", "adds"), [(Role.VIEWER, False), (Role.MEMBER, False), (Role.OWNER, True)])
def test_owners_manage_the_members_of_their_workspace(role: Role, adds: bool) -> None:  # noqa: FBT001 -- a case
    grace = make_user("grace")
    make_user("boss", acme=Role.OWNER)
    workspace = make_workspace("acme")
    client = make_office_client(make_user(acme=role))
    ada = workspace.members.get(user__username="ada")
    form = {
        "name": "acme", "time_zone": "UTC", "reason": "as agreed", "members-TOTAL_FORMS": 2, "members-INITIAL_FORMS": 1,
        "members-0-id": ada.pk, "members-0-workspace": workspace.pk, "members-0-user": "ada", "members-0-role": role,
        "members-1-workspace": workspace.pk, "members-1-user": "grace", "members-1-role": "viewer",
    }  # fmt: skip
    page = reverse("admin:accounts_workspace_change", args=[workspace.pk])
    assert "ada" in client.get(page).content.decode()
    client.post(page, form)
    assert workspace.members.filter(user=grace, role=Role.VIEWER).exists() is adds


def test_a_workspace_keeps_an_owner() -> None:
    workspace = make_workspace("acme")
    client = make_office_client(make_user(acme=Role.OWNER))
    member = workspace.members.get()
    form = {
        "name": "acme", "time_zone": "UTC", "reason": "as agreed", "members-TOTAL_FORMS": 1, "members-INITIAL_FORMS": 1,
        "members-0-id": member.pk,
        "members-0-workspace": workspace.pk, "members-0-user": "ada", "members-0-role": "viewer",
    }  # fmt: skip
    page = reverse("admin:accounts_workspace_change", args=[workspace.pk])
    assert "needs an owner" in client.post(page, form).content.decode()
    assert workspace.members.get().role == Role.OWNER


def test_a_member_is_named_by_user_name() -> None:
    workspace = make_workspace("acme")
    form = {
        "name": "acme", "time_zone": "UTC", "reason": "as agreed", "members-TOTAL_FORMS": 1, "members-INITIAL_FORMS": 0,
        "members-0-workspace": workspace.pk, "members-0-user": "nobody", "members-0-role": "viewer",
    }  # fmt: skip
    page = make_office_client().post(reverse("admin:accounts_workspace_change", args=[workspace.pk]), form).content.decode()
    assert "Nobody has this user name" in page


def test_a_time_zone_must_exist(office: Client) -> None:
    form = {"name": "acme", "time_zone": "Mars/Olympus", "members-TOTAL_FORMS": 0, "members-INITIAL_FORMS": 0}
    assert "no such time zone" in office.post(reverse("admin:accounts_workspace_add"), form).content.decode()


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER])
def test_others_do_not_change_a_workspace(role: Role) -> None:
    client = make_office_client(make_user(acme=role))
    workspace = make_workspace("acme")
    form = {"name": "mine", "time_zone": "UTC", "reason": "as agreed", "members-TOTAL_FORMS": 0, "members-INITIAL_FORMS": 0}
    assert client.post(reverse("admin:accounts_workspace_change", args=[workspace.pk]), form).status_code == 403


def test_a_user_is_added_with_a_hashed_password(office: Client) -> None:
    form = {"username": "grace", "password1": "correct horse battery", "password2": "correct horse battery", "usable_password": "true"} | {
        "reason": "as agreed"
    }
    assert office.post(reverse("admin:accounts_user_add"), form).status_code == 302
    assert User.objects.get(username="grace").check_password("correct horse battery")


def test_nobody_who_is_not_staff_comes_in() -> None:
    client = make_office_client(make_user(is_staff=False, acme=Role.OWNER))
    assert client.get(reverse("admin:index")).status_code == 302


def test_owners_give_no_key_what_belongs_to_all_workspaces() -> None:
    owner, form = (
        make_office_client(make_user("grace", acme=Role.OWNER)),
        {"name": "mine", "scopes": ["chat", "platform"], "reason": "as agreed"},
    )
    form["workspace"] = str(make_workspace("acme").pk)
    assert "platform" not in owner.get(reverse("admin:accounts_apikey_add")).content.decode().split('id="id_scopes"')[1].split("</form>")[0]
    assert "platform is not one of the available choices" in owner.post(reverse("admin:accounts_apikey_add"), form).content.decode()
    assert not ApiKey.objects.filter(name="mine").exists()
    make_office_client().post(reverse("admin:accounts_apikey_add"), form)
    assert ApiKey.objects.get(name="mine").scopes == ["chat", "platform"]
