"""Money in the back office: prices and charges, and the budgets that bound what is spent."""

from apps.spend.admin import budgets, ledger, proof

__all__ = ["budgets", "ledger", "proof"]
