"""What is said to people when a budget has no room."""

from apps.spend.domain.budgets import Refusal

BUDGET_EXHAUSTED = "budget_exhausted"
_WORDS = {"user": "end user", "api_key": "API key"}


def told_refusal(refusal: Refusal) -> str:
    """In one sentence; never another's numbers: only those of the budget that this item belongs to."""
    purse = refusal.purse
    if purse.is_pause:
        return (
            f"This {_WORDS.get(purse.scope, purse.scope)} is paused: much more was done by it than is usual. "
            "Whoever owns the workspace can lift the pause."
        )
    anew = f" It begins anew at {purse.ends_at:%Y-%m-%d %H:%M} UTC." if purse.ends_at else ""
    if purse.scope == "platform":
        return f"The platform's budget is used up.{anew}"
    whose = _WORDS.get(purse.scope, purse.scope)
    return (
        f"The budget of this {whose} has no room: of ${purse.cap_usd.normalize():f}, ${purse.spent_usd.normalize():f} is spent,"
        f" and this may cost ${refusal.amount_usd.normalize():f}.{anew}"
    )
