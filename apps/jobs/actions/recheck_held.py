"""Look at what budgets hold, for those that were raised or began anew while nobody heard. Called by the sweep."""

from decimal import Decimal

from django.db.models import Min
from django.db.models.functions import Least

from apps.jobs.actions.release_held import release_held
from apps.jobs.models import Aside, Job
from apps.spend.queries.rooms import list_with_room

_NOTHING = Decimal(0)


def recheck_held() -> int:
    """Let go of the jobs and items whose budget holds them for no reason; returns how many."""
    held = Job.objects.filter(ended_at=None, held_by_id__isnull=False).values_list("held_by_id").annotate(Min("held_needs_usd"))
    aside = Aside.objects.values_list("budget_id", Least("needs_usd", "recalled_usd"))
    needs = {budget_id: amount or _NOTHING for budget_id, amount in [*held, *aside]}
    return sum(release_held(budget_id=budget_id) for budget_id in list_with_room(needs))
