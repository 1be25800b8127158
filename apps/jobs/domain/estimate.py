"""What a job may take and cost, before it runs: input is counted, output is a range."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from apps.lib.tokenizer import MESSAGE_TOKENS, count_tokens
from apps.providers.domain.policy import AnswerPolicy
from apps.spend.domain.pricing import PriceRow, cost_of
from apps.spend.domain.usage import TokenUsage
from apps.spend.domain.usual import UsualAnswers

# What the words around a wrong answer come to, when its repair is asked for.
_REPAIR_TOKENS = 250
# Other tokenizers than ours count up to a quarter less, or a third more.
_INPUT = {"low": 0.75, "likely": 1.0, "high": 1.35}
# Of the most that a picture may be, what an ordinary one is.
_ORDINARY_PICTURE = 1 / 40
LIMITS, SEVERAL = "limits", "several"


@dataclass(frozen=True, slots=True)
class Counted:
    """One request: its tokens, how long it lets its answer be (None: it doesn't say), and how many answers it asks for.

    `image_tokens`: the most that its pictures may be.
    """

    input_tokens: int
    limit: int | None = None
    copies: int = 1
    image_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """A model: how long its answers were lately, and may be; its first target's price, and those of all that may be asked instead."""

    usual: UsualAnswers | None
    most_output_tokens: int
    price: PriceRow | None
    others: tuple[PriceRow, ...] = ()

    @property
    def usual_output_tokens(self) -> int:
        return round(self.usual.mean) if self.usual else 1


@dataclass(frozen=True, slots=True)
class Estimate:
    """Calls, tokens and dollars of a whole job, from the least that its policy may come to up to the most; retries are left out.

    `input_tokens` and `least_output_tokens` are of every request asked once; the costs are None without a price.
    `is_sampled`: counted on some of the requests. `low`, `likely` and `high` go by how long answers were lately, as `basis` says whose;
    without any by `limits`: a token, half of the longest answer, and the longest.
    """

    requests: int
    least_calls: int
    most_calls: int
    input_tokens: int
    most_input_tokens: int
    least_output_tokens: int
    most_output_tokens: int
    least_cost_usd: Decimal | None
    most_cost_usd: Decimal | None
    is_sampled: bool
    likely_output_tokens: int
    low_cost_usd: Decimal | None
    likely_cost_usd: Decimal | None
    high_cost_usd: Decimal | None
    basis: str
    basis_calls: int

    def __add__(self, other: "Estimate") -> "Estimate":
        """Of two models' requests together; a sum with what isn't known isn't known."""
        return Estimate(**{field.name: _added(field.name, getattr(self, field.name), getattr(other, field.name)) for field in fields(self)})


def _added(name: str, one: Any, other: Any) -> Any:
    if name == "basis":
        return one if one == other else SEVERAL
    if name == "is_sampled":
        return one or other
    return None if one is None or other is None else one + other


def count_request_tokens(body: dict[str, Any]) -> int:
    """Tokens of a chat, text or embeddings request, counted offline by OpenAI's newest public tokenizer; other models differ a little."""
    messages = body.get("messages")
    texts = [message.get("content") for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []
    texts += [body.get("input"), body.get("prompt"), body.get("instructions")]
    return sum(MESSAGE_TOKENS + count_tokens(text) for entry in texts for text in _texts(entry))


def _texts(entry: Any) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    if isinstance(entry, list):
        return [text for part in entry for text in _texts(part.get("text") if isinstance(part, dict) else part)]
    return []


@dataclass(frozen=True, slots=True)
class _Size:
    calls: int
    input_tokens: int
    output_tokens: int
    cached_share: float = 0.0

    def cost(self, price: PriceRow) -> Decimal:
        if not self.calls:
            return Decimal(0)
        cached = round(self.input_tokens * self.cached_share)
        usage = TokenUsage(input_tokens=self.input_tokens - cached, cached_input_tokens=cached, output_tokens=self.output_tokens)
        tokens = cost_of(usage, price, context_tokens=self.input_tokens // self.calls)
        return tokens + price.request_usd * (self.calls - 1)


def estimate_job(
    *,
    counted: Sequence[Counted],
    requests: int,
    model: Asked,
    first: Asked | None = None,
    policy: AnswerPolicy,
    input_factor: float = 1.0,
) -> Estimate:
    """From some (or all) requests. At least: what is cheapest answers at once, or the cache. At most: each step of the policy is needed.

    `input_factor`: how much longer than those that were counted an average request is.
    """
    once = round(sum(one.input_tokens for one in counted) / len(counted) * requests * input_factor) if counted else 0
    bounds = {asked: _longest(counted, requests, asked) for asked in (model, first) if asked is not None}
    usual = {asked: _Size(requests, once, min(asked.usual_output_tokens * requests, most)) for asked, most in bounds.items()}
    needed = [(asked, _Size(requests, once, bounds[asked])) for asked in (first, model) if asked is not None]
    if policy.has_contract:
        needed.append((model, _Size(requests, once + bounds[model] + _REPAIR_TOKENS * requests, bounds[model])))
    least, most = _cheapest(usual), _dearest(needed)
    images = round(sum(one.image_tokens for one in counted) / len(counted) * requests) if counted else 0
    levels = {
        level: {asked: _of_level(level, asked, counted, _Size(requests, once, longest), images) for asked, longest in bounds.items()}
        for level in _INPUT
    }
    low, likely, high = _range(levels, model, first, policy)
    return Estimate(
        requests=requests,
        least_calls=0 if policy.cache_seconds else requests,
        most_calls=requests * len(needed),
        input_tokens=once,
        most_input_tokens=sum(size.input_tokens for _, size in needed),
        least_output_tokens=min(size.output_tokens for size in usual.values()),
        most_output_tokens=sum(size.output_tokens for _, size in needed),
        least_cost_usd=Decimal(0) if policy.cache_seconds and most is not None else least,
        most_cost_usd=most,
        is_sampled=len(counted) < requests,
        likely_output_tokens=levels["likely"][model].output_tokens,
        low_cost_usd=low,
        likely_cost_usd=likely,
        high_cost_usd=high,
        basis=model.usual.of if model.usual else LIMITS,
        basis_calls=model.usual.calls if model.usual else 0,
    )


def _of_level(level: str, asked: Asked, counted: Sequence[Counted], most: _Size, images: int) -> _Size:
    """All requests, asked once, as long as they and their answers are at this level. `most` has the longest answers."""
    share = {"low": 0.0, "likely": _ORDINARY_PICTURE, "high": 1.0}[level]
    heard = round(most.input_tokens * _INPUT[level] + images * share)
    if (usual := asked.usual) is None:
        said = {"low": most.calls, "likely": (most.calls + most.output_tokens) // 2, "high": most.output_tokens}[level]
        return _Size(most.calls, heard, min(said, most.output_tokens))
    copies = sum(one.copies for one in counted) / len(counted) if counted else 1.0
    # Charges are by call: one that asked for several answers counts them all. The mean of another job's calls lies a little off.
    each = {"low": min(usual.low, usual.mean * 0.8), "likely": usual.mean, "high": max(usual.high, usual.mean * 1.25)}[level]
    cached = 0.0 if level == "high" else usual.cached_share
    return _Size(most.calls, heard, min(round(each * max(1.0, copies) * most.calls), most.output_tokens), cached)


def _range(
    levels: Mapping[str, Mapping[Asked, _Size]], model: Asked, first: Asked | None, policy: AnswerPolicy
) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    """Low: the cheapest answers all, or the cache does. Likely: a first model's answer does in half of the cases. High: all is asked."""
    low = _cheapest(levels["low"])
    likely = _dearest([(model, levels["likely"][model])], is_first_target=True)
    high_size = levels["high"][model]
    needed = [(model, high_size)]
    if first is not None:
        cheap = _dearest([(first, levels["likely"][first])], is_first_target=True)
        likely = None if likely is None or cheap is None else cheap + likely / 2
        needed.append((first, levels["high"][first]))
    if policy.has_contract:
        heard = high_size.input_tokens + high_size.output_tokens + _REPAIR_TOKENS * high_size.calls
        needed.append((model, _Size(high_size.calls, heard, high_size.output_tokens)))
    high = _dearest(needed)
    return Decimal(0) if policy.cache_seconds and high is not None else low, likely, high


def _longest(counted: Sequence[Counted], requests: int, asked: Asked) -> int:
    """The output of all requests, when each answer is as long as it may be."""
    most = sum((asked.most_output_tokens if one.limit is None else one.limit) * one.copies for one in counted)
    return round(most / len(counted) * requests) if counted else asked.most_output_tokens * requests


def _cheapest(usual: Mapping[Asked, _Size]) -> Decimal | None:
    costs = [size.cost(asked.price) for asked, size in usual.items() if asked.price is not None]
    return min(costs) if len(costs) == len(usual) else None


def _dearest(needed: Sequence[tuple[Asked, _Size]], *, is_first_target: bool = False) -> Decimal | None:
    """Every call at the dearest target that may be asked, or at the one that is asked first."""
    total = Decimal(0)
    for asked, size in needed:
        if asked.price is None:
            return None
        total += max(size.cost(price) for price in (asked.price, *(() if is_first_target else asked.others)))
    return total
