"""Count guesses at keys and passwords by where they come from, and say how long whoever makes many has to wait."""

from apps.accounts.domain.guesses import Guessed, origin_of
from apps.lib.throttling import BUCKET, milliseconds_to_wait

_SLOWED_MOST = 100
_SLOWED_SECONDS = 3600
# One round trip: the bucket, the counters, and who was slowed when (the latest hundred).
_COUNT = (
    BUCKET
    + """
redis.call('HINCRBY', KEYS[2], 'refused', 1)
local wait = take(KEYS[1], ARGV[1], ARGV[5])
if wait > 0 then
    redis.call('HINCRBY', KEYS[2], 'slowed', 1)
    redis.call('ZADD', KEYS[3], now / 1000, ARGV[2])
    redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -tonumber(ARGV[3]) - 1)
    redis.call('EXPIRE', KEYS[3], ARGV[4])
end
return wait
"""
)
# The guess was right: it counts as if it had not been made.
_TAKE_BACK = (
    BUCKET
    + """
local full = (tonumber(redis.call('GET', KEYS[1])) or now) - tonumber(ARGV[2]) / tonumber(ARGV[1])
if full > now then
    redis.call('SET', KEYS[1], string.format('%.3f', full), 'PX', math.ceil(full - now))
else
    redis.call('DEL', KEYS[1])
end
return 0
"""
)


def count_guess(guessed: Guessed, *, address: str, most: int) -> int:
    """Milliseconds to wait when more than `most` came from there within the time; 0 otherwise, and while Redis is down."""
    origin = origin_of(address)
    if not most or not origin:
        return 0
    keys = [guessed.bucket.format(origin=origin), guessed.counts, guessed.slowed]
    return milliseconds_to_wait(_COUNT, keys, most, origin, _SLOWED_MOST, _SLOWED_SECONDS, guessed.milliseconds)


def take_guess_back(guessed: Guessed, *, address: str, most: int) -> None:
    """After one that was right."""
    origin = origin_of(address)
    if most and origin:
        milliseconds_to_wait(_TAKE_BACK, [guessed.bucket.format(origin=origin)], most, guessed.milliseconds)
