"""Weeks of spend as a platform in use has them: workspaces, features, models and end users, some with awkward names."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from apps.accounts.models import Workspace
from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.models import Item, Job
from apps.lib.ids import uuid7
from apps.spend.models import Charge, Saving, Waste
from tests.factories.accounts import make_api_key, make_workspace
from tests.factories.files import make_file
from tests.factories.jobs import Route, make_item, make_route
from tests.spend.purses import make_budget

_DAYS = 92
_WORKSPACES = (("Marketing & Sales", 9), ("support-emea", 5), ("research", 3), ("Ärzte ohne Grenzen e. V. (Pilotprojekt 2026, Los 3)", 1))
_FEATURES = (("product-texts", 8), ("ticket-triage", 6), ("meeting-notes", 3), ("", 2), ("translate_🇩🇪→🇫🇷_v2", 1), ("x" * 64, 1))
_USERS = (
    "ada@example.org", "grace@example.org", "", "O'Brien <script>alert(1)</script>", '=HYPERLINK("http://example.org")',
    "山田 太郎", "very.long.address.of.somebody.who.has.many.names@subsidiary.example.org", "svc-nightly-import", "Zoë Ångström",
)  # fmt: skip
_MODELS = (
    ("small", "gpt-x-mini", "primary", 6),
    ("large", "gpt-x-2026-08-06", "backup-in-frankfurt", 2),
    ("small", "claude-y", "backup-in-frankfurt", 1),
)


@dataclass(frozen=True)
class World:
    """Who spends, on what."""

    workspaces: list[Workspace]
    routes: list[Route]
    keys: dict[UUID, UUID]
    jobs: dict[UUID, list[Job]]


def make_month(now: datetime, *, a_day: int = 40) -> list[Workspace]:
    """Three months of charges until now, quieter at night and on weekends; budgets at every mark, and some waste."""
    dice = random.Random(7)
    world = _world()
    charges = list(_charges(dice, now, a_day, world))
    Charge.objects.bulk_create(charges, batch_size=1000)
    Waste.objects.bulk_create(
        Waste(workspace_id=one.workspace_id, job_id=one.job_id, item_id=one.item_id, run_id=one.run_id, reason="ambiguous",
              provider_id=one.provider_id, upstream_model=one.upstream_model, model_id=one.model_id, feature=one.feature, lane=one.lane,
              api_key_id=one.api_key_id, end_user=one.end_user, amount_usd=one.cost_usd, created_at=one.created_at)
        for one in charges[::97]
    )  # fmt: skip
    _save(charges)
    for scope, cap, spent, values in (
        ("platform", "2500", "812.20", {"period": "month"}),
        ("workspace", "600", "331.50", {"period": "month", "workspace": world.workspaces[0]}),
        ("feature", "250", "209.04", {"period": "month", "subject": "product-texts", "workspace": world.workspaces[0]}),
        ("user", "5", "5", {"period": "day", "subject": "ada@example.org", "is_hard": False}),
    ):
        budget = make_budget(scope, cap, **values)
        _spend(budget, Decimal(spent), now)
    return world.workspaces


def _world() -> World:
    workspaces = [make_workspace(name) for name, _ in _WORKSPACES]
    files = ("Preisliste Herbst 2026 (endgültig).csv", "tickets.jsonl")
    return World(
        workspaces=workspaces,
        routes=[make_route(name, upstream_model=upstream, provider_name=provider) for name, upstream, provider, _ in _MODELS],
        keys={workspace.id: make_api_key(workspace)[0].id for workspace in workspaces},
        jobs={workspace.id: [_job(workspace, name) for name in files] for workspace in workspaces},
    )


def _save(charges: list[Charge]) -> None:
    """What the cache and first models saved beside some of them."""
    Saving.objects.bulk_create(
        Saving(id=uuid7(), workspace_id=one.workspace_id, job_id=one.job_id, item_id=one.item_id, feature=one.feature, lane=one.lane,
               model_id=one.model_id, by_cache_usd=one.cost_usd, by_first_usd=one.cost_usd * (n % 3 - 1) / 2, created_at=one.created_at)
        for n, one in enumerate(charges[::9])
    )  # fmt: skip


def _spend(budget: Any, amount: Decimal, now: datetime) -> None:
    from apps.spend.domain.budgets import RANKS, ScopeKind, period_bounds
    from apps.spend.models import BudgetPeriod

    begin, end = period_bounds(budget.period, time_zone=budget.time_zone, at=now)
    BudgetPeriod.objects.create(budget=budget, rank=RANKS[ScopeKind(budget.scope)], starts_at=begin, ends_at=end, spent_usd=amount)


def _job(workspace: Workspace, name: str) -> Job:
    job = Job.objects.create(
        workspace=workspace, kind="batch", status="completed", endpoint="/v1/chat/completions", model_name="small", total=3,
        input_file=make_file(json.dumps({"name": name}).encode(), workspace=workspace, filename=name),
    )  # fmt: skip
    route = make_route()
    for position in (1, 2, 3):
        item = make_item(job, route=route, state=ItemState.WAITING, position=position)
        values = {"state": ItemState.DONE, "input_tokens": 40_000 * position, "output_tokens": 900, "paid_calls": 1}
        Item.objects.filter(id=item.id).update(cost_usd=Decimal("0.0071") * position, **values)
    return job


def _charges(dice: random.Random, now: datetime, a_day: int, world: World) -> Iterator[Charge]:
    for days_ago in range(_DAYS, -1, -1):
        day = (now - timedelta(days=days_ago)).replace(hour=0, minute=0, second=0, microsecond=0)
        busy = (0.35 if day.weekday() >= 5 else 1) * (1 + (_DAYS - days_ago) / 180)
        # Today has been as busy as any day, even a minute after midnight.
        length = min(now - day, timedelta(days=1))
        for _ in range(round(a_day * busy)):
            yield _charge(dice, day + length * (min(23.9, max(0, dice.gauss(13, 4))) / 24), world)


def _charge(dice: random.Random, at: datetime, world: World) -> Charge:
    workspace = dice.choices(world.workspaces, [weight for _, weight in _WORKSPACES])[0]
    route = dice.choices(world.routes, [weight for *_, weight in _MODELS])[0]
    tokens = round(dice.lognormvariate(13.5, 0.9))
    dear = 12 if route.model.name == "large" else 1
    return Charge(
        id=uuid7(), workspace_id=workspace.id, job_id=dice.choice(world.jobs[workspace.id]).id, item_id=uuid7(), run_id=uuid7(),
        seq=1 if dice.random() < 0.06 else 0, model_id=route.model.id, provider_id=route.provider.id,
        upstream_model=route.target.upstream_model, price_id=route.price.id,
        api_key_id=world.keys[workspace.id] if dice.random() < 0.8 else None, end_user=dice.choice(_USERS),
        feature=dice.choices([name for name, _ in _FEATURES], [weight for _, weight in _FEATURES])[0],
        lane=dice.choices(["bulk", "default", "interactive"], [6, 3, 1])[0], input_tokens=tokens, output_tokens=tokens // 5,
        cost_usd=Decimal(tokens * dear) * Decimal("0.00000023"), created_at=at,
    )  # fmt: skip
