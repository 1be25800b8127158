"""Keep what a look at all money found."""

from dataclasses import asdict
from datetime import datetime

from apps.spend.domain.proof import Sums
from apps.spend.models import Proof


def record_proof(*, sums: Sums, checked_at: datetime, seconds: float) -> None:
    """One row for each look, for ever: they are few."""
    Proof.objects.create(checked_at=checked_at, seconds=seconds, is_whole=sums.is_whole, **asdict(sums))
