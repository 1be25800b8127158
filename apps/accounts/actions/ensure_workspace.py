"""A workspace by name, made when it is missing."""

from apps.accounts.models import Workspace


def ensure_workspace(*, name: str) -> Workspace:
    """The workspace of that name; two callers at once get the same one."""
    return Workspace.objects.get_or_create(name=name)[0]
