"""What a job may take and cost, before it runs: input is counted, output is a range."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from apps.spend.domain.pricing import PriceRow, cost_of
from apps.spend.domain.usage import TokenUsage

# What a chat format adds to each message.
_MESSAGE_TOKENS = 4


@dataclass(frozen=True, slots=True)
class Estimate:
    """Tokens and dollars of a whole job; the costs are None without a price. `is_sampled`: counted on some of the requests."""

    requests: int
    input_tokens: int
    least_output_tokens: int
    most_output_tokens: int
    least_cost_usd: Decimal | None
    most_cost_usd: Decimal | None
    is_sampled: bool


@cache
def _tokenizer() -> Any:
    """Loaded when it is first wanted: 30 MB that only processes which estimate shall hold."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the package reads its own data in an old way
        import bpe_openai  # noqa: PLC0415 -- see above

    return bpe_openai.get_encoding("o200k_base")


def count_request_tokens(body: dict[str, Any]) -> int:
    """Tokens of a chat, text or embeddings request, counted offline by OpenAI's newest public tokenizer; other models differ a little."""
    messages = body.get("messages")
    texts = [message.get("content") for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []
    texts += [body.get("input"), body.get("prompt"), body.get("instructions")]
    return sum(_MESSAGE_TOKENS + len(_tokenizer().encode_ordinary(text)) for entry in texts for text in _texts(entry))


def _texts(entry: Any) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    if isinstance(entry, list):
        return [text for part in entry for text in _texts(part.get("text") if isinstance(part, dict) else part)]
    return []


def estimate_job(
    *, counted: Sequence[int], requests: int, usual_output_tokens: int | None, most_output_tokens: int, price: PriceRow | None
) -> Estimate:
    """From the token counts of some (or all) requests; `usual_output_tokens` is what the model's answers came to lately."""
    input_tokens = round(sum(counted) / len(counted) * requests) if counted else 0
    least, most = min(usual_output_tokens or 1, most_output_tokens) * requests, most_output_tokens * requests
    return Estimate(
        requests=requests,
        input_tokens=input_tokens,
        least_output_tokens=least,
        most_output_tokens=most,
        least_cost_usd=_cost(price, requests, input_tokens, least),
        most_cost_usd=_cost(price, requests, input_tokens, most),
        is_sampled=len(counted) < requests,
    )


def _cost(price: PriceRow | None, requests: int, input_tokens: int, output_tokens: int) -> Decimal | None:
    if price is None:
        return None
    tokens = cost_of(TokenUsage(input_tokens=input_tokens, output_tokens=output_tokens), price)
    return tokens + price.request_usd * max(0, requests - 1)
