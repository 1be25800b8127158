"""Budgets by their ids, with what their names need."""

from collections.abc import Sequence
from uuid import UUID

from apps.spend.models import Budget


def find_budgets(ids: Sequence[UUID]) -> list[Budget]:
    """Those that are still there, in one query."""
    return list(Budget.objects.filter(id__in=ids).select_related("workspace", "api_key"))
