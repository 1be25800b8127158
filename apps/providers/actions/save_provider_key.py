"""Store a provider's key, sealed."""

from uuid import UUID

from django.conf import settings

from apps.lib.sealing import seal
from apps.providers.models import Provider
from apps.providers.queries import sealed_owner


def save_provider_key(*, provider_id: UUID, api_key: str) -> None:
    """Encrypt `api_key` for this provider alone; an empty one removes it."""
    sealed = seal(api_key, keys=settings.ENCRYPTION_KEYS, owner=sealed_owner(provider_id)) if api_key else ""
    Provider.objects.filter(id=provider_id).update(api_key_sealed=sealed)
