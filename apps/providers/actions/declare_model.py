"""Say who answers for a model: one provider with its key, one model, one target. Repeatable."""

from uuid import UUID

from django.db import transaction

from apps.providers.actions.save_provider_key import save_provider_key
from apps.providers.models import Model, Provider, Target


@transaction.atomic
def declare_model(*, provider_name: str, base_url: str, api_key: str, model_name: str, upstream_model: str) -> UUID:
    """The provider's id. Its address and key become the given ones; what people set beside them (limits, timeouts) stays."""
    provider, _ = Provider.objects.update_or_create(name=provider_name, defaults={"base_url": base_url})
    save_provider_key(provider_id=provider.id, api_key=api_key)
    model, _ = Model.objects.get_or_create(name=model_name)
    Target.objects.get_or_create(model=model, provider=provider, upstream_model=upstream_model)
    return provider.id
