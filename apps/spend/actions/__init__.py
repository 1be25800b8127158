"""Write down prices and charges."""

from apps.spend.actions.record_charges import record_charges

__all__ = ["record_charges"]
