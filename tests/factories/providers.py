"""Providers, models, targets and calls."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from apps.lib.ids import uuid7
from apps.providers.actions import Gate
from apps.providers.domain.calls import Call, Route
from apps.providers.domain.catalogue import Catalogue
from apps.providers.models import Model, Provider, Target

MODEL_ID = UUID(int=7)
NOBODY = "http://127.0.0.1:9/v1"


def make_provider(name: str = "primary", *, base_url: str = NOBODY, **values: Any) -> Provider:
    return Provider.objects.create(name=name, base_url=base_url, **values)


def make_model(name: str = "small", *providers: Provider, **values: Any) -> Model:
    """A model with a target at each provider, asked in this order."""
    model = Model.objects.create(name=name, **values)
    for position, provider in enumerate(providers):
        Target.objects.create(model=model, provider=provider, upstream_model=f"{name}-upstream", position=position)
    return model


def make_route(base_url: str = NOBODY, **values: Any) -> Route:
    """A route as the catalogue holds it, without a database."""
    given: dict[str, Any] = {
        "target_id": UUID(int=1),
        "provider_id": UUID(int=2),
        "provider_name": "primary",
        "kind": "openai",
        "base_url": base_url,
        "upstream_model": "simulated",
        "connect_timeout_seconds": 5.0,
        "read_timeout_seconds": 30.0,
        "total_timeout_seconds": 30.0,
        "api_key": "sk-test",
    }
    return Route(**given | values)


def make_catalogue(*routes: Route) -> Catalogue:
    """One model, `small`, that these routes answer for."""
    return Catalogue(ids={"small": MODEL_ID}, routes_by_model={MODEL_ID: routes} if routes else {})


def make_call(prompt: str = "hello", *, endpoint: str = "/v1/chat/completions", **body: Any) -> Call:
    messages = [{"role": "user", "content": prompt}]
    return Call(
        run_id=uuid7(), model_id=MODEL_ID, endpoint=endpoint, body=json.dumps({"model": "small", "messages": messages} | body).encode()
    )


def make_gate(*, is_interactive: bool = False) -> Gate:
    """A gate that has heard nothing: buckets without limits let everybody through."""
    return Gate(pump_id=uuid7(), is_interactive=is_interactive)


def clock() -> datetime:
    return datetime.now(UTC)
