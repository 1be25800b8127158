"""Reconcile a provider's usage export with what we charged for it."""

from collections.abc import Sequence
from typing import Any

from apps.providers.actions.rotate_provider_key import ProviderUnknownError
from apps.providers.models import Provider
from apps.spend.actions import reconcile
from apps.spend.domain.usage_export import read_export


def reconcile_usage(*, provider: str, content: str, source: str) -> Sequence[Any]:
    """The rows that were kept, by day and model. ExportInvalidError names what is wrong with the export."""
    row = Provider.objects.filter(name=provider).first()
    if row is None:
        raise ProviderUnknownError(f"There is no provider {provider!r}.")
    return reconcile(provider_id=row.id, used=read_export(content), source=source)
