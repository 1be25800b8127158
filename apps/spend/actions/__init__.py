"""Write down prices and charges."""

from apps.spend.actions.ensure_price import ensure_price
from apps.spend.actions.record_charges import record_charges

__all__ = ["ensure_price", "record_charges"]
