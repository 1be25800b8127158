"""Count refused keys by where they come from, and slow whoever tries many. Good keys are not looked at: an office shares an address."""

from math import ceil

from django.conf import settings

from apps.accounts.domain.keys import REFUSALS_KEY, SLOWED_KEY, origin_of
from apps.lib.http_errors import GIVE_UP, ApiError
from apps.lib.throttling import BUCKET, milliseconds_to_wait

_SLOWED_MOST = 100
_SLOWED_SECONDS = 3600
# One round trip: the bucket, the counters, and who was slowed when (the latest hundred).
_COUNT = (
    BUCKET
    + """
redis.call('HINCRBY', KEYS[2], 'refused', 1)
local wait = take(KEYS[1], ARGV[1])
if wait > 0 then
    redis.call('HINCRBY', KEYS[2], 'slowed', 1)
    redis.call('ZADD', KEYS[3], now / 1000, ARGV[2])
    redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -tonumber(ARGV[3]) - 1)
    redis.call('EXPIRE', KEYS[3], ARGV[4])
end
return wait
"""
)


def count_refusal(refused: ApiError, *, address: str) -> ApiError:
    """What to answer: `refused`, or 429 when more than `REFUSED_KEYS_PER_MINUTE` came from there. While Redis is down nobody is slowed."""
    origin = origin_of(address)
    if not settings.REFUSED_KEYS_PER_MINUTE or not origin:
        return refused
    keys = [f"aiplatform:refused:{origin}", REFUSALS_KEY, SLOWED_KEY]
    wait = milliseconds_to_wait(_COUNT, keys, settings.REFUSED_KEYS_PER_MINUTE, origin, _SLOWED_MOST, _SLOWED_SECONDS)
    if not wait:
        return refused
    message = f"{refused.message} Too many requests without a good key came from this address; wait as long as Retry-After says."
    # Asking again with the same key changes nothing, so clients should not do so by themselves.
    return ApiError(429, "rate_limit_exceeded", message, headers=GIVE_UP | {"Retry-After": str(ceil(wait / 1000))})
