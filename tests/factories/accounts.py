"""Workspaces, keys, and clients that come with a key."""

from typing import Any

from django.test import Client

from apps.accounts.actions import create_api_key, ensure_workspace
from apps.accounts.domain.keys import Scope
from apps.accounts.models import ApiKey, Member, Role, User, Workspace


def make_workspace(name: str = "acme") -> Workspace:
    return ensure_workspace(name=name)


def make_api_key(workspace: Workspace | None = None, *scopes: Scope, **values: Any) -> tuple[ApiKey, str]:
    """(row, secret); with all scopes when none is named."""
    owner = workspace or make_workspace()
    made = create_api_key(workspace_id=owner.id, name="test", scopes=scopes or tuple(Scope), **values)
    return made.key, made.secret


def make_client(workspace: str = "acme", *scopes: Scope) -> Client:
    """A client that comes with a key; a defect answers 500 as it would to a caller instead of raising in the test."""
    _, secret = make_api_key(make_workspace(workspace), *scopes)
    return Client(headers={"Authorization": f"Bearer {secret}"}, raise_request_exception=False)


def make_user(name: str = "ada", *, is_superuser: bool = False, is_staff: bool = True, **roles: Role) -> User:
    """Somebody who can sign in; `acme=Role.MEMBER` makes them a member of that workspace."""
    user = User.objects.create_user(name, password="a long enough password", is_staff=is_staff, is_superuser=is_superuser)
    for workspace, role in roles.items():
        Member.objects.create(workspace=make_workspace(workspace), user=user, role=role)
    return user


def make_office_client(user: User | None = None) -> Client:
    """A browser's client that has signed in; a superuser when nobody is named."""
    client = Client()
    client.force_login(user or make_user("root", is_superuser=True))
    return client
