"""What was seen of a file's requests, by model and by whom they are for: enough to estimate all of them."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from apps.jobs.domain.estimate import Counted, count_request_tokens
from apps.providers.domain.dearest import read_bounds
from apps.providers.domain.media import most_image_tokens

# The first requests are counted all, then one in some: a file that is sorted by length is not judged by its beginning alone.
_COUNTED_ALL, _ONE_IN = 400, 40
_COUNTED_BYTES = 2 << 20
# Beyond this many different end users and features, further ones are left out.
_MOST_NAMES = 1000

Name = tuple[str, str]


@dataclass(slots=True)
class SeenModel:
    """One model's requests: how many, their size, the most that they may cost, and those that were counted."""

    requests: int = 0
    size_bytes: int = 0
    most_usd: Decimal = Decimal(0)
    counted: list[Counted] = field(default_factory=list)
    counted_bytes: int = 0

    @property
    def mean_factor(self) -> float:
        """How much longer than the counted ones an average request is."""
        if not self.counted_bytes or len(self.counted) == self.requests:
            return 1.0
        return (self.size_bytes / self.requests) / (self.counted_bytes / len(self.counted))


@dataclass(slots=True)
class Seen:
    """All models'; `most_usd` is by (end user, feature)."""

    models: dict[str, SeenModel] = field(default_factory=lambda: defaultdict(SeenModel))
    most_usd: dict[Name, Decimal] = field(default_factory=dict)
    dearest_usd: Decimal = Decimal(0)

    @property
    def requests(self) -> int:
        return sum(model.requests for model in self.models.values())

    @property
    def commonest(self) -> str:
        """The model that most requests name; empty when there is none."""
        return max(self.models, key=lambda name: self.models[name].requests, default="")

    def add(self, model: str, body: Mapping[str, Any], *, endpoint: str, size: int, most_usd: Decimal, name: Name) -> None:
        """One good request."""
        seen = self.models[model]
        if (seen.requests < _COUNTED_ALL or seen.requests % _ONE_IN == 0) and seen.counted_bytes < _COUNTED_BYTES:
            seen.counted.append(_counted(body, endpoint))
            seen.counted_bytes += size
        seen.requests += 1
        seen.size_bytes += size
        seen.most_usd += most_usd
        self.dearest_usd = max(self.dearest_usd, most_usd)
        if name in self.most_usd or len(self.most_usd) < _MOST_NAMES:
            self.most_usd[name] = self.most_usd.get(name, Decimal(0)) + most_usd


def _counted(body: Mapping[str, Any], endpoint: str) -> Counted:
    limit, copies = read_bounds(body, endpoint=endpoint)
    return Counted(count_request_tokens(dict(body)), limit, copies, most_image_tokens(body))
