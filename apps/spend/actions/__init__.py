"""Write down prices and charges."""

from apps.spend.actions.ensure_price import ensure_price
from apps.spend.actions.record_charges import record_charges
from apps.spend.actions.set_price import PriceTakenError, set_price

__all__ = ["PriceTakenError", "ensure_price", "record_charges", "set_price"]
