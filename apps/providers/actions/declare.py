"""Make providers, models and targets as declared; what isn't mentioned stays. Each returns what it changed, in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from apps.providers.actions.save_provider_key import read_provider_key, save_provider_key
from apps.providers.domain.base_url import is_same_server
from apps.providers.models import Model, Provider, Target


@dataclass(frozen=True, slots=True)
class DeclaredTarget:
    """A target by its provider's id."""

    provider_id: UUID
    upstream_model: str
    values: Mapping[str, Any] = field(default_factory=dict)


def declare_provider(*, name: str, values: Mapping[str, Any], api_key: str | None) -> list[str]:
    """A new provider needs `base_url`, and one that moves to another server its key; a ValueError says so."""
    provider = Provider.objects.filter(name=name).first()
    if provider is None:
        if "base_url" not in values:
            raise ValueError(f"provider {name} is new and needs a base_url.")
        provider = Provider.objects.create(name=name, **values)
        changes = [f"provider {name}: added"]
    else:
        if api_key is None and provider.api_key_sealed and not is_same_server(values.get("base_url", provider.base_url), provider.base_url):
            # Nobody can read the key that is stored, so it must not be sent to an address of somebody's choice either.
            raise ValueError(f"provider {name}: base_url goes to another server, so name the key again (api_key_env or api_key).")
        changes = [f"provider {name}: {change}" for change in _update(provider, values)]
    if api_key is not None and (read_provider_key(provider_id=provider.id) or "") != api_key.strip():
        save_provider_key(provider_id=provider.id, api_key=api_key)
        changes.append(f"provider {name}: key {'stored' if api_key.strip() else 'removed'}")
    return changes


def declare_model_targets(*, name: str, values: Mapping[str, Any], targets: Sequence[DeclaredTarget] | None) -> list[str]:
    """A listed order of targets replaces what there was; None leaves them."""
    model = Model.objects.filter(name=name).first()
    if model is None:
        model = Model.objects.create(name=name, **values)
        changes = [f"model {name}: added"]
    else:
        changes = [f"model {name}: {change}" for change in _update(model, values)]
    if targets is None:
        return changes
    kept = []
    for position, wanted in enumerate(targets):
        target, is_new = Target.objects.get_or_create(
            model=model,
            provider_id=wanted.provider_id,
            upstream_model=wanted.upstream_model,
            defaults={"position": position, **wanted.values},
        )
        changes += [f"model {name}: target {target} added"] if is_new else []
        changes += [f"model {name}: target {target}: {change}" for change in _update(target, {"position": position, **wanted.values})]
        kept.append(target.id)
    for gone in model.targets.exclude(id__in=kept).select_related("provider"):
        changes.append(f"model {name}: target {gone} removed")
        gone.delete()
    return changes


def _update(row: Provider | Model | Target, values: Mapping[str, Any]) -> list[str]:
    changed = {name: value for name, value in values.items() if getattr(row, name) != value}
    words = [f"{name} {'none' if getattr(row, name) is None else getattr(row, name)} -> {value}" for name, value in changed.items()]
    for name, value in changed.items():
        setattr(row, name, value)
    if changed:
        # These alone: a key that is rotated, or a pause, in this very moment stays as it is.
        row.save(update_fields=[*changed, *(["updated_at"] if isinstance(row, Provider) else [])])
    return words
