"""Estimate what work would take and cost, by the models that its policy may ask, at their prices of now."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from apps.jobs.domain.estimate import Asked, Counted, Estimate, estimate_job
from apps.providers.domain.policy import AnswerPolicy
from apps.providers.queries import Offer, callable_models, read_offers
from apps.spend.queries.usual_answers import find_usual_answers


def estimate_work(
    *,
    counted: Sequence[Counted],
    requests: int,
    model: str,
    policy: AnswerPolicy,
    now: datetime,
    input_factor: float = 1.0,
    workspace_id: UUID | None = None,
    feature: str = "",
) -> Estimate | None:
    """None when nothing was counted, or nobody can answer for a model that would be asked. What is paused is estimated as well.

    Answers are taken to be as long as those that the workspace got lately, for the feature if it had enough of them.
    """
    names = [model, policy.first_model] if policy.first_model not in {"", model} else [model]
    offers = {offer.name: offer for offer in read_offers(list(callable_models().filter(name__in=names)), at=now)}
    if not counted or len(offers) < len(names):
        return None
    asked = [_asked(offers[name], policy, workspace_id, feature) for name in names]
    return estimate_job(
        counted=counted,
        requests=requests,
        model=asked[0],
        first=asked[1] if len(asked) > 1 else None,
        policy=policy,
        input_factor=input_factor,
    )


def _asked(offer: Offer, policy: AnswerPolicy, workspace_id: UUID | None, feature: str) -> Asked:
    first, *others = offer.targets
    return Asked(
        usual=find_usual_answers(
            provider_id=first.provider_id, upstream_model=first.upstream_model, workspace_id=workspace_id, feature=feature
        ),
        most_output_tokens=offer.max_output_tokens,
        price=first.price,
        others=tuple(target.price for target in others if target.price is not None) if policy.has_failover else (),
    )
