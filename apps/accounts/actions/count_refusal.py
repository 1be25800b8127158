"""Count refused keys by where they come from, and slow whoever tries many. Good keys are not looked at: an office shares an address."""

from math import ceil

from django.conf import settings

from apps.accounts.actions.count_guess import count_guess
from apps.accounts.domain.guesses import KEYS
from apps.lib.http_errors import GIVE_UP, ApiError


def count_refusal(refused: ApiError, *, address: str) -> ApiError:
    """What to answer: `refused`, or 429 when more than `REFUSED_KEYS_PER_MINUTE` came from there. While Redis is down nobody is slowed."""
    wait = count_guess(KEYS, address=address, most=settings.REFUSED_KEYS_PER_MINUTE)
    if not wait:
        return refused
    message = f"{refused.message} Too many requests without a good key came from this address; wait as long as Retry-After says."
    # Asking again with the same key changes nothing, so clients should not do so by themselves.
    return ApiError(429, "rate_limit_exceeded", message, headers=GIVE_UP | {"Retry-After": str(ceil(wait / 1000))})
