"""Put a new key in a provider's place, while calls are made."""

from django.db import transaction

from apps.accounts.actions import record_audit
from apps.providers.actions.save_provider_key import save_provider_key
from apps.providers.models import Provider


class ProviderUnknownError(Exception):
    """There is no provider of this name."""


class KeyInvalidError(ValueError):
    """The new key can't be sent as a header."""


@transaction.atomic
def rotate_provider_key(*, name: str, api_key: str) -> None:
    """Pumps send the new key within PROVIDERS_RELOAD_SECONDS; calls in the air end with the old one, so let both hold until then."""
    stripped = api_key.strip()
    if not stripped or not (stripped.isascii() and stripped.isprintable()):
        raise KeyInvalidError("The key is empty, or holds characters that can't be sent.")
    provider = Provider.objects.select_for_update().filter(name=name).first()
    if provider is None:
        raise ProviderUnknownError(f"There is no provider {name!r}.")
    save_provider_key(provider_id=provider.id, api_key=stripped)
    record_audit(verb="rotate key", object_type="provider", object_id=provider.id, object_label=provider.name)
