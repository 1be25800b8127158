"""Make a job's own budget: what its caller lets it cost at most."""

from decimal import Decimal
from uuid import UUID

from apps.spend.domain.budgets import PeriodKind, ScopeKind
from apps.spend.models import Budget


def make_job_budget(*, workspace_id: UUID, job_id: UUID, cap_usd: Decimal | None) -> None:
    """Inside the transaction that makes the job; nothing when it may cost what it likes."""
    if cap_usd is not None:
        Budget.objects.create(scope=ScopeKind.JOB, workspace_id=workspace_id, job_id=job_id, period=PeriodKind.TOTAL, cap_usd=cap_usd)
