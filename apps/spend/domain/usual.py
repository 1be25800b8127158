"""How long answers usually are, by what was charged lately."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UsualAnswers:
    """Output tokens of one call: what nine of ten exceed, the mean, and what one of ten exceeds.

    `of`: whose calls these were: the feature's, the workspace's, or the platform's. `cached_share`: of the input, what came from a cache.
    """

    of: str
    calls: int
    low: float
    mean: float
    high: float
    cached_share: float = 0.0
