"""Reconcile what a provider says that it was used for with what we charged for it."""

from uuid import UUID

from apps.providers.actions.rotate_provider_key import ProviderUnknownError
from apps.providers.models import Provider
from apps.spend.actions import Reconciled, reconcile, reconcile_calls
from apps.spend.domain.usage_export import read_export
from apps.spend.domain.witness import read_witness
from apps.traces.queries import list_runs_of

# Runs whose answers nobody was there to take: their worker died, or was told to stop and had no time left.
_UNUSED = ("lost", "given_back")


def reconcile_usage(*, provider: str, content: str, source: str) -> Reconciled:
    """An export, by day and model: the rows that were kept. ExportInvalidError names what is wrong with it."""
    return reconcile(provider_id=_id_of(provider), used=read_export(content), source=source)


def reconcile_witness(*, provider: str, content: str, source: str) -> Reconciled:
    """The simulated provider's own count, call by call."""
    provider_id, witness = _id_of(provider), read_witness(content)
    unused = list_runs_of(outcomes=_UNUSED, since=witness.since)
    return reconcile_calls(provider_id=provider_id, witness=witness, unused=unused, source=source)


def _id_of(provider: str) -> UUID:
    row = Provider.objects.filter(name=provider).first()
    if row is None:
        raise ProviderUnknownError(f"There is no provider {provider!r}.")
    return row.id
