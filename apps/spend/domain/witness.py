"""What the simulated provider says of each call that it delivered, read from its `/sim/usage?by=call`."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from apps.spend.domain.reconciling import Delivered
from apps.spend.domain.usage_export import ExportInvalidError, UsedOnDay


@dataclass(frozen=True, slots=True)
class Witness:
    """Since when it counts; the answers to each run, by the hash of its id; others, that name none."""

    since: datetime
    delivered: Mapping[str, Sequence[Delivered]]
    others: Sequence[UsedOnDay]


def read_witness(text: str) -> Witness:
    """ExportInvalidError when it says something else."""
    try:
        told = json.loads(text)
        delivered = {run: [_delivered(*call) for call in calls] for run, calls in told["calls"].items()}
        return Witness(datetime.fromisoformat(told["since"]), delivered, [_used(*row) for row in told["others"]])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ExportInvalidError(f"This is no count of a simulated provider: {error!r}") from error


def hash_of_run(run_id: UUID) -> str:
    """As the simulated provider remembers the id that a run's calls carry."""
    return hashlib.blake2b(str(run_id).encode(), digest_size=8).hexdigest()


def _delivered(day: str, model: str, input_tokens: Any, output_tokens: Any) -> Delivered:
    return Delivered(date.fromisoformat(day), model, int(input_tokens), int(output_tokens))


def _used(day: str, model: str, requests: int, input_tokens: int, output_tokens: int) -> UsedOnDay:
    return UsedOnDay(date.fromisoformat(day), model, requests, input_tokens, None, output_tokens, None)
