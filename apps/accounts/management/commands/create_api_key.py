"""`manage.py create_api_key`: make an API key and print its secret, once."""

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.accounts.actions import acting, create_api_key, ensure_workspace
from apps.accounts.domain.keys import WORKSPACE_SCOPES, Scope

_LONGEST_NAME = 100


def _name(text: str) -> str:
    name = text.strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        msg = f"a name must have 1 to {_LONGEST_NAME} characters that can be printed"
        raise ArgumentTypeError(msg)
    return name


def _scopes(texts: list[str]) -> list[Scope]:
    """Scopes separated by blanks or commas; CommandError names the unknown ones and says which there are."""
    wanted = [part for text in texts for part in text.replace(",", " ").split()]
    known = [scope.value for scope in Scope]
    unknown = [part for part in wanted if part not in known]
    if unknown or not wanted:
        complaint = f"No such scope: {', '.join(unknown)}." if unknown else "Name at least one scope."
        msg = f"{complaint} There are: {', '.join(known)}."
        raise CommandError(msg)
    return [Scope(part) for part in wanted]


class Command(BaseCommand):
    """The secret is the last line of standard output, alone; what is said about it goes to standard error."""

    help = "Make an API key (and its workspace, when that is missing). The secret is printed once, as the last line."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", required=True, type=_name, help="The workspace's name; made when it is missing.")
        parser.add_argument("--name", default="default", type=_name, help="What the key is for.")
        parser.add_argument(
            "--scopes",
            nargs="+",
            default=[scope.value for scope in WORKSPACE_SCOPES],
            help=f"Default: {' '.join(WORKSPACE_SCOPES)}. The scope platform, for what all workspaces share, has to be named.",
        )

    def handle(self, *_: Any, workspace: str, name: str, scopes: list[str], **__: Any) -> None:
        wanted = _scopes(scopes)
        owner = ensure_workspace(name=workspace)
        with acting("manage.py create_api_key"):
            made = create_api_key(workspace_id=owner.id, name=name, scopes=wanted)
        self.stderr.write(f"API key {made.key.prefix}… for workspace {owner.name!r}, scopes {', '.join(wanted)}. It is shown only now:")
        self.stdout.write(made.secret)
