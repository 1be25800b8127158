"""The most that one run of an item can cost: the dearest path that its policy allows, each call at its dearest target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

import orjson

from apps.providers.domain.calls import Route, Stage
from apps.providers.domain.catalogue import Catalogue
from apps.providers.domain.media import impossible_buckets, most_image_tokens
from apps.providers.domain.policy import AnswerPolicy
from apps.spend.domain.pricing import PriceBook, PriceRow, most_cost_of

_NOTHING = Decimal(0)
# By what name a request bounds its answer; embeddings have none to bound.
_LIMITS: dict[str, tuple[str, ...]] = {
    "/v1/chat/completions": ("max_completion_tokens", "max_tokens"),
    "/v1/completions": ("max_tokens",),
    "/v1/responses": ("max_output_tokens",),
}
_COPIES = ("n", "best_of")
_MOST_TOKENS = 100_000_000
_MOST_COPIES = 1000
# What the words around a wrong answer come to, when its repair is asked for.
_REPAIR_WORDS = 1000


@dataclass(frozen=True, slots=True)
class Quote:
    """`needs_limit`: the request names no bound for its answer, so that ours must go with it."""

    amount_usd: Decimal = _NOTHING
    needs_limit: bool = False


@dataclass(frozen=True)
class _Asked:
    """One call: its input is bounded by its bytes (no text has more tokens than bytes) and by its pictures, its output by `limit`."""

    body: Mapping[str, Any]
    input_tokens: int
    limit: int | None
    copies: int

    @cached_property
    def impossible(self) -> frozenset[str]:
        return impossible_buckets(self.body)

    def most(self, price: PriceRow, longest: int) -> Decimal:
        output = (longest if self.limit is None else self.limit) * self.copies
        without = self.impossible if price.tells_kinds_apart else frozenset()
        return most_cost_of(input_tokens=self.input_tokens, output_tokens=output, price=price, without=without)


@dataclass(frozen=True)
class Quoter:
    """What calls cost at most, by the catalogue and the prices as they stood when both were loaded."""

    catalogue: Catalogue = field(default_factory=Catalogue)
    prices: PriceBook = field(default_factory=lambda: PriceBook(()))

    def quote(
        self,
        request: bytes | None,
        *,
        endpoint: str,
        model_id: UUID,
        policy: AnswerPolicy,
        stage: Stage,
        at: datetime,
        further_tokens: int = 0,
    ) -> Quote:
        """For a run that begins at this stage; `further_tokens`: how much may be put behind the request."""
        asked = _asked(request, endpoint)
        if asked is None:
            return Quote()
        if further_tokens:
            asked = replace(asked, input_tokens=asked.input_tokens + further_tokens)
        first_id = self.catalogue.model_id(policy.first_model) if policy.first_model else None
        asked_id = (self.catalogue.model_id(str(asked.body.get("model"))) or model_id) if policy.first_model else model_id
        amount = _NOTHING
        if first_id is not None and first_id != asked_id and stage is Stage.START:
            amount += self._call(first_id, asked, at)
        if stage is not Stage.REPAIR:
            amount += self._call(asked_id, asked, at)
        if policy.has_contract or stage is Stage.REPAIR:
            most = self._longest(asked_id) if asked.limit is None else asked.limit
            longer = replace(asked, input_tokens=asked.input_tokens + most * asked.copies + _REPAIR_WORDS)
            amount += self._call(asked_id, longer, at)
        return Quote(amount, needs_limit=asked.limit is None)

    def _call(self, model_id: UUID, asked: _Asked, at: datetime) -> Decimal:
        return max([self._at(route, asked, at) for route in self.catalogue.routes(model_id)], default=_NOTHING)

    def _at(self, route: Route, asked: _Asked, at: datetime) -> Decimal:
        price = self.prices.price(route.provider_id, route.upstream_model, at)
        return _NOTHING if price is None else asked.most(price, route.max_output_tokens)

    def _longest(self, model_id: UUID) -> int:
        return max((route.max_output_tokens for route in self.catalogue.routes(model_id)), default=0)


def most_cost_of_exchange(request: bytes | None, *, endpoint: str, provider_id: UUID, upstream_model: str, prices: PriceBook, at: datetime,
                          usual_limit: int) -> Decimal:  # fmt: skip
    """The most that one HTTP request may have cost, sent or not; 0 when no price is known."""
    price, asked = prices.price(provider_id, upstream_model, at), _asked(request, endpoint)
    return _NOTHING if price is None or asked is None else asked.most(price, usual_limit)


def _asked(request: bytes | None, endpoint: str) -> _Asked | None:
    body = _read(request)
    if request is None or body is None:
        return None
    # Most requests hold no picture: then no word in them is spelt so, nor hidden behind an escape.
    images = most_image_tokens(body) if b"image" in request or b"\\u" in request else 0
    return _Asked(body, len(request) + images, _limit_of(body, endpoint), _copies(body))


def read_bounds(body: Mapping[str, Any], *, endpoint: str) -> tuple[int | None, int]:
    """(how long the request lets its answer be, None where it doesn't say; how many answers it asks for)."""
    return _limit_of(body, endpoint), _copies(body)


def _read(request: bytes | None) -> Mapping[str, Any] | None:
    if request is None:
        return None
    try:
        body = orjson.loads(request)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


def _limit_of(body: Mapping[str, Any], endpoint: str) -> int | None:
    """How long the request lets its answer be; 0 where there is none. Of several that it names, the longest."""
    if endpoint not in _LIMITS:
        return 0
    return max(_numbers(body, _LIMITS[endpoint], _MOST_TOKENS), default=None)


def _copies(body: Mapping[str, Any]) -> int:
    """How many answers are asked for at once."""
    return max(_numbers(body, _COPIES, _MOST_COPIES), default=1)


def _numbers(body: Mapping[str, Any], names: Sequence[str], most: int) -> list[int]:
    """What these fields ask for, where it is a number that they may hold."""
    return [value for name in names if name in body and type(value := body[name]) is int and 0 < value <= most]
