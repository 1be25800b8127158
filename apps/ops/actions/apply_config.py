"""Make providers, models, targets, prices, budgets and recipes as a file declares them: all of it, or nothing."""

import json
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction

from apps.accounts.actions import record_audit
from apps.ops.actions.declare_budget import declare_budget
from apps.ops.actions.declare_recipe_of_file import declare_recipe_of_file
from apps.ops.domain.config_file import Config, ConfigInvalidError, ModelEntry, PriceEntry
from apps.providers.actions import DeclaredTarget, declare_model_targets, declare_provider
from apps.providers.queries import provider_ids
from apps.spend.actions import PriceTakenError, set_price

# Any fixed number, known to everyone who applies to this database.
_APPLY_LOCK = 0x61_70_70_6C_79


def apply_config(*, config: Config, is_dry_run: bool, clock: Callable[[], datetime]) -> list[str]:
    """What was changed, a line each (what would be, in a dry run). ConfigInvalidError when a row refers to nothing."""
    with transaction.atomic():
        _wait_for_others()
        # Read after the wait: a price that another has just added must not lie in the future.
        now = clock()
        changes = [
            line
            for entry in config.providers
            for line in _declare_provider(name=entry.name, values=dict(entry.values), api_key=entry.api_key)
        ]
        ids = provider_ids()
        for model in config.models:
            changes += _declare_model(model, ids)
        for price in [*config.prices, *_shorthand(config)]:
            changes += _set_price(price, ids, now)
        for budget in config.budgets:
            changes += declare_budget(budget)
        for recipe in config.recipes:
            changes += declare_recipe_of_file(recipe, now)
        if changes:
            # The lines name what changed, and of a key only that it did.
            record_audit(verb="applied", object_type="configuration", after={"changes": changes})
        if is_dry_run:
            transaction.set_rollback(True)
    return changes


def _wait_for_others() -> None:
    """Two files at once, one after the other: each sees what it changes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_APPLY_LOCK])


def _declare_provider(*, name: str, values: dict[str, object], api_key: str | None) -> list[str]:
    try:
        return declare_provider(name=name, values=values, api_key=api_key)
    except ValueError as error:
        raise ConfigInvalidError(f"[[providers]]: {error}") from error


def _declare_model(model: ModelEntry, ids: dict[str, UUID]) -> list[str]:
    targets = None
    if model.targets is not None:
        targets = [
            DeclaredTarget(
                provider_id=_find(ids, target.provider, f"[[models]] {model.name}"),
                upstream_model=target.upstream_model,
                values=target.values,
            )
            for target in model.targets
        ]
    return declare_model_targets(name=model.name, values=model.values, targets=targets)


def _shorthand(config: Config) -> list[PriceEntry]:
    """The prices written with a model, for each of its targets that has no row of its own in [[prices]]."""
    own = {(price.provider, price.upstream_model) for price in config.prices}
    return [
        PriceEntry(provider=target.provider, upstream_model=target.upstream_model, starts_at=None, prices=model.prices)
        for model in config.models
        for target in model.targets or ()
        if model.prices and (target.provider, target.upstream_model) not in own
    ]


def _set_price(price: PriceEntry, ids: dict[str, UUID], now: datetime) -> list[str]:
    where = f"{price.upstream_model} at {price.provider}"
    provider_id = _find(ids, price.provider, f"[[prices]] {price.upstream_model}")
    try:
        is_new = set_price(
            provider_id=provider_id, upstream_model=price.upstream_model, prices=price.prices, starts_at=price.starts_at, now=now
        )
    except PriceTakenError as error:
        raise ConfigInvalidError(
            f"[[prices]] {where}: another price begins at {price.starts_at}, and prices are never changed; give another 'from'."
        ) from error
    amounts = ", ".join(f"{name} {json.dumps(told) if name == 'tiers' else told}" for name, told in price.prices.items())
    return [f"price of {where}: from {price.starts_at or now:%Y-%m-%d %H:%M} UTC {amounts}"] if is_new else []


def _find(ids: dict[str, UUID], name: str, where: str) -> UUID:
    if name not in ids:
        raise ConfigInvalidError(f"{where}: there is no provider {name!r}; declare it in [[providers]].")
    return ids[name]
