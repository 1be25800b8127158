"""Settle a group even when one of its answers can't be stored: its neighbours must not wait for it, nor be asked again."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import structlog

from apps.jobs.actions.settle import settle_group
from apps.jobs.domain.claimed import Finished
from apps.jobs.domain.settlement import Settlement
from apps.lib.background import INFRASTRUCTURE_ERRORS
from apps.providers.domain.calls import Completion
from apps.providers.domain.outcomes import Outcome
from apps.spend.domain.pricing import PriceBook

log = structlog.get_logger(__name__)


def settle_apart(group: Sequence[Finished], *, pump_id: UUID, prices: PriceBook) -> list[Settlement]:
    """As `settle_group`; what Postgres refuses is found by halving and ends dead with a reason. Infrastructure errors are raised."""
    try:
        return settle_group(group, pump_id=pump_id, prices=prices)
    except INFRASTRUCTURE_ERRORS:
        raise
    except Exception:
        log.exception("group_not_settled", items=len(group), run_ids=[str(finished.item.run_id) for finished in group[:5]])
        if len(group) == 1:
            return settle_group([_unstorable(group[0])], pump_id=pump_id, prices=prices)
    middle = len(group) // 2
    return [
        *settle_apart(group[:middle], pump_id=pump_id, prices=prices),
        *settle_apart(group[middle:], pump_id=pump_id, prices=prices),
    ]


def _unstorable(finished: Finished) -> Finished:
    completion = Completion(
        outcome=Outcome.REJECTED,
        error_code="answer_not_storable",
        error_message="The provider answered, but the answer can't be stored; the log of the worker has the reason.",
    )
    exchanges = tuple(replace(exchange, answer=b"", error="") for exchange in finished.completion.exchanges)
    return replace(finished, completion=replace(completion, exchanges=exchanges))
