"""Write down prices, and money: set aside, charged, wasted; keep budgets."""

from apps.spend.actions.change_budget import change_budget, refused_of_pause
from apps.spend.actions.ensure_price import ensure_price
from apps.spend.actions.keep_pace import keep_pace
from apps.spend.actions.make_job_budget import make_job_budget
from apps.spend.actions.open_purses import look_at_purses, open_purses_of_jobs, with_finer_purses
from apps.spend.actions.pause_spending import pause_spending
from apps.spend.actions.rebuild_rollups import rebuild_rollups
from apps.spend.actions.reconcile import Reconciled, reconcile, reconcile_calls
from apps.spend.actions.record_charges import record_charges
from apps.spend.actions.record_proof import record_proof
from apps.spend.actions.record_savings import record_savings
from apps.spend.actions.record_waste import record_waste
from apps.spend.actions.report_spend import report_spend
from apps.spend.actions.reserve import reserve
from apps.spend.actions.resolve import resolve
from apps.spend.actions.roll_up import roll_up
from apps.spend.actions.set_budget import owner_of_key, set_budget
from apps.spend.actions.set_price import PriceTakenError, set_price
from apps.spend.actions.top_up_budget import top_up_budget
from apps.spend.actions.write_off import write_off

__all__ = [
    "PriceTakenError",
    "Reconciled",
    "change_budget",
    "ensure_price",
    "keep_pace",
    "look_at_purses",
    "make_job_budget",
    "open_purses_of_jobs",
    "owner_of_key",
    "pause_spending",
    "rebuild_rollups",
    "reconcile",
    "reconcile_calls",
    "record_charges",
    "record_proof",
    "record_savings",
    "record_waste",
    "refused_of_pause",
    "report_spend",
    "reserve",
    "resolve",
    "roll_up",
    "set_budget",
    "set_price",
    "top_up_budget",
    "with_finer_purses",
    "write_off",
]
