"""Deleting a file in the back office: asked first, by members of its workspace alone."""

import pytest
from django.urls import reverse

from apps.accounts.models import AuditEntry, Role
from apps.files.models import File
from tests.factories.accounts import make_office_client, make_user, make_workspace
from tests.factories.files import make_file, stored_names

pytestmark = pytest.mark.django_db
DISCARD = "admin:files_file_discard"


@pytest.mark.django_db(transaction=True)
def test_deleting_asks_first_and_takes_the_bytes_and_a_reason() -> None:
    file = make_file(workspace=make_workspace("acme"))
    client = make_office_client(make_user(acme=Role.MEMBER))
    assert "for good" in client.get(reverse(DISCARD, args=[file.pk])).content.decode()
    assert file.storage_key in stored_names()
    client.post(reverse(DISCARD, args=[file.pk]), {"reason": "personal data"})
    assert File.objects.get().deleted_at
    assert file.storage_key not in stored_names()
    assert AuditEntry.objects.get(verb="deleted").reason == "personal data"


def test_a_viewer_does_not_delete() -> None:
    file = make_file(workspace=make_workspace("acme"))
    make_office_client(make_user(acme=Role.VIEWER)).post(reverse(DISCARD, args=[file.pk]))
    assert File.objects.get().deleted_at is None


def test_another_workspaces_file_is_not_there() -> None:
    file = make_file(workspace=make_workspace("globex"))
    answer = make_office_client(make_user(acme=Role.OWNER)).post(reverse(DISCARD, args=[file.pk]))
    assert answer.status_code == 404
