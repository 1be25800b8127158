"""Which workspaces somebody sees."""

from uuid import UUID

from django.contrib.auth.models import AnonymousUser

from apps.accounts.models import Member, User


def workspaces_of(user: User | AnonymousUser) -> list[UUID] | None:
    """The ids of the workspaces a user belongs to; None for a superuser, who sees all."""
    if user.is_superuser:
        return None
    return list(Member.objects.filter(user_id=user.pk).values_list("workspace_id", flat=True)) if user.pk else []
