"""Store a provider's key, sealed."""

from uuid import UUID

from django.conf import settings
from django.utils import timezone

from apps.lib.sealing import SealInvalidError, seal, unseal
from apps.providers.models import Provider


def save_provider_key(*, provider_id: UUID, api_key: str) -> None:
    """Encrypt `api_key` for this provider alone, without the blanks around it; an empty one removes it.

    `updated_at` is the version of the provider's limits: a new key ends the pause that the old one brought about.
    """
    stripped = api_key.strip()
    sealed = seal(stripped, keys=settings.ENCRYPTION_KEYS, owner=Provider(id=provider_id).seal_owner) if stripped else ""
    Provider.objects.filter(id=provider_id).update(api_key_sealed=sealed, updated_at=timezone.now())


def read_provider_key(*, provider_id: UUID) -> str | None:
    """The key in clear, for comparing; None when there is none or it doesn't open."""
    sealed = Provider.objects.filter(id=provider_id).values_list("api_key_sealed", flat=True).first()
    try:
        return unseal(sealed, keys=settings.ENCRYPTION_KEYS, owner=Provider(id=provider_id).seal_owner) if sealed else None
    except SealInvalidError:
        return None
