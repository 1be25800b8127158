"""`manage.py create_api_key`: a script can take the last line, a person is told the rest."""

import io

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.accounts.actions import authenticate_key
from apps.accounts.models import ApiKey, Workspace

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("create_api_key", "--workspace", "acme", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_standard_output_is_the_secret_alone() -> None:
    out, err = run()
    secret = out.removesuffix("\n")
    assert secret.split() == [secret]
    assert secret not in err
    key = authenticate_key(f"Bearer {secret}", now=timezone.now())
    assert (key.workspace.name, key.name) == ("acme", "default")
    assert key.secret_hash != secret
    # What belongs to all workspaces has to be named.
    assert set(key.scopes) == {"files", "batches", "chat", "jobs", "prompts", "documents", "spend", "admin"}


def test_the_workspace_is_made_once() -> None:
    run()
    run()
    assert Workspace.objects.filter(name="acme").count() == 1
    assert ApiKey.objects.count() == 2


@pytest.mark.parametrize("scopes", [["files", "batches"], ["files,batches"], ["files, batches"]])
def test_scopes_are_taken_however_they_are_written(scopes: list[str]) -> None:
    run("--name", "nightly", "--scopes", *scopes)
    key = ApiKey.objects.get()
    assert (key.name, key.scopes) == ("nightly", ["files", "batches"])


def test_an_unknown_scope_is_refused_and_nothing_is_made() -> None:
    with pytest.raises(CommandError, match=r"No such scope: flies\. There are: files, batches"):
        run("--scopes", "files", "flies")
    assert not ApiKey.objects.exists()
    assert not Workspace.objects.exists()


@pytest.mark.parametrize("arguments", [["--name", "x" * 101], ["--workspace", "x" * 101], ["--workspace", " "], ["--scopes", ","]])
def test_what_can_not_be_stored_is_refused_in_words(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        run(*arguments)
    assert not ApiKey.objects.exists()
