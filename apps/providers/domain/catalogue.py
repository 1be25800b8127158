"""What can be called, as it stands at one moment: model names, and for each model its targets in failover order."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from apps.providers.domain.calls import Route

UNPRICED = "price_unknown"
WITHOUT_PRICE = "The model has no price, and this platform sends nothing without one; its operator can set one, or import it."


@dataclass(frozen=True, slots=True)
class CallableModel:
    """A model that is switched on and has a target that is; the timeout is that of its slowest provider."""

    id: UUID
    name: str
    created_at: datetime
    longest_timeout_seconds: float
    max_output_tokens: int
    is_paused: bool = False


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A frozen picture of the tables; workers load it anew every few seconds."""

    ids: Mapping[str, UUID] = field(default_factory=dict)
    routes_by_model: Mapping[UUID, tuple[Route, ...]] = field(default_factory=dict)
    # Models that nobody can answer for at present (paused, or switched off): work for them waits unclaimed.
    idle_models: frozenset[UUID] = frozenset()
    # Models that nobody answers for at a known price, where the platform calls nobody else.
    unpriced_models: frozenset[UUID] = frozenset()

    def model_id(self, name: str) -> UUID | None:
        """The model that callers name so; None when there is none, or it is switched off."""
        return self.ids.get(name)

    def knows(self, model_id: UUID) -> bool:
        """Whether the model was there when the picture was taken, switched on or not."""
        return model_id in self.routes_by_model or model_id in self.idle_models or model_id in self.unpriced_models

    def model_names(self) -> list[str]:
        return sorted(self.ids)

    def without_failover(self) -> "Catalogue":
        """The same models, each with its first target alone."""
        return replace(self, routes_by_model={model_id: routes[:1] for model_id, routes in self.routes_by_model.items()})

    def routes(self, model_id: UUID) -> tuple[Route, ...]:
        """The targets that may be asked, the first one first; empty when none is switched on."""
        return self.routes_by_model.get(model_id, ())
