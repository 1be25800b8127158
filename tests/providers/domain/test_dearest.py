"""The most that a run can cost: the dearest path of its policy, at the dearest of its targets."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import pytest

from apps.providers.domain.calls import Stage
from apps.providers.domain.catalogue import Catalogue
from apps.providers.domain.dearest import Quote, Quoter
from apps.providers.domain.media import TOKENS_OF_IMAGE, TOKENS_OF_SMALL_IMAGE
from apps.providers.domain.policy import AnswerPolicy
from apps.spend.domain.pricing import PriceBook, PriceRow
from tests.factories.providers import make_route

CHAT = "/v1/chat/completions"
NOW = datetime(2026, 11, 21, tzinfo=UTC)
SMALL, LARGE = UUID(int=1), UUID(int=2)
CHEAP, DEAR = UUID(int=3), UUID(int=4)


def price(provider_id: UUID, upstream_model: str, input_usd: int, output_usd: int, **values: Any) -> PriceRow:
    """Dollars a token, so that sums can be read."""
    million = 1_000_000
    return PriceRow(
        id=UUID(int=9),
        provider_id=provider_id,
        upstream_model=upstream_model,
        effective_from=datetime(2026, 1, 1, tzinfo=UTC),
        input_usd_per_million=Decimal(input_usd * million),
        output_usd_per_million=Decimal(output_usd * million),
        **values,
    )


QUOTER = Quoter(
    Catalogue(
        ids={"small": SMALL, "large": LARGE},
        routes_by_model={
            SMALL: (make_route(provider_id=CHEAP, upstream_model="s", max_output_tokens=50),),
            LARGE: (
                make_route(provider_id=CHEAP, upstream_model="l", max_output_tokens=100),
                make_route(provider_id=DEAR, upstream_model="l", max_output_tokens=100),
            ),
        },
    ),
    PriceBook([price(CHEAP, "s", 1, 2), price(CHEAP, "l", 3, 4), price(DEAR, "l", 5, 6)]),
)


def quote(body: Any, *, model_id: UUID = SMALL, endpoint: str = CHAT, stage: Stage = Stage.START, **policy: Any) -> Quote:
    request = body if isinstance(body, bytes) else orjson.dumps(body)
    return QUOTER.quote(request, endpoint=endpoint, model_id=model_id, policy=AnswerPolicy(**policy), stage=stage, at=NOW)


def size(body: Any) -> int:
    return len(orjson.dumps(body))


def test_input_counts_by_its_bytes_and_output_by_the_requests_bound() -> None:
    body = {"model": "small", "max_tokens": 10}
    assert quote(body) == Quote(Decimal(size(body) * 1 + 10 * 2), needs_limit=False)


def test_without_a_bound_the_models_own_counts_and_must_go_with_the_request() -> None:
    body = {"model": "small"}
    assert quote(body) == Quote(Decimal(size(body) * 1 + 50 * 2), needs_limit=True)


@pytest.mark.parametrize("bound", [0, -1, True, "10", 10**12, None])
def test_a_bound_that_makes_no_sense_is_none(bound: object) -> None:
    assert quote({"model": "small", "max_tokens": bound}).needs_limit


def test_several_answers_at_once_cost_several_times() -> None:
    body = {"model": "small", "max_tokens": 10, "n": 3}
    assert quote(body).amount_usd == size(body) + 30 * 2


def test_the_dearest_target_counts_though_it_is_asked_last() -> None:
    body = {"model": "large", "max_tokens": 10}
    assert quote(body, model_id=LARGE).amount_usd == size(body) * 5 + 10 * 6


def test_a_cascade_may_cost_both_models() -> None:
    body = {"model": "large", "max_tokens": 10}
    first, then = size(body) * 1 + 10 * 2, size(body) * 5 + 10 * 6
    assert quote(body, first_model="small").amount_usd == first + then
    assert quote(body, first_model="small", stage=Stage.MODEL).amount_usd == then


def test_a_contract_may_cost_a_repair_that_reads_the_wrong_answer() -> None:
    body = {"model": "small", "max_tokens": 10}
    call, repair = size(body) + 10 * 2, (size(body) + 10 + 1000) + 10 * 2
    assert quote(body, has_contract=True).amount_usd == call + repair
    assert quote(body, has_contract=True, stage=Stage.REPAIR).amount_usd == repair


def test_embeddings_have_no_output() -> None:
    body = {"model": "small", "input": "x"}
    assert quote(body, endpoint="/v1/embeddings") == Quote(Decimal(size(body)))


@pytest.mark.parametrize("request_body", [b"no json", b"[]", b""])
def test_what_is_no_request_costs_nothing(request_body: bytes) -> None:
    assert quote(request_body) == Quote()


def test_a_token_counts_in_the_dearest_bucket_that_it_could_fall_into() -> None:
    book = PriceBook(
        [price(CHEAP, "s", 1, 2, cache_write_usd_per_million=Decimal(7_000_000), reasoning_usd_per_million=Decimal(9_000_000))]
    )
    body = {"model": "small", "max_tokens": 10}
    found = Quoter(QUOTER.catalogue, book).quote(
        orjson.dumps(body), endpoint=CHAT, model_id=SMALL, policy=AnswerPolicy(), stage=Stage.START, at=NOW
    )
    assert found.amount_usd == size(body) * 7 + 10 * 9


def test_a_dearer_price_for_long_contexts_counts_as_soon_as_it_could_hold() -> None:
    tiers = [{"above_input_tokens": 60, "input_usd_per_million": "10000000"}]
    book = PriceBook([price(CHEAP, "s", 1, 2, tiers=tiers)])
    short, long = {"model": "small", "max_tokens": 10}, {"model": "small", "max_tokens": 10, "user": "x" * 60}
    for body, input_usd in ((short, 1), (long, 10)):
        found = Quoter(QUOTER.catalogue, book).quote(
            orjson.dumps(body), endpoint=CHAT, model_id=SMALL, policy=AnswerPolicy(), stage=Stage.START, at=NOW
        )
        assert found.amount_usd == size(body) * input_usd + 10 * 2


SEEING = Quoter(
    QUOTER.catalogue,
    PriceBook(
        [
            price(
                CHEAP,
                "s",
                1,
                2,
                image_input_usd_per_million=Decimal(3_000_000),
                audio_input_usd_per_million=Decimal(20_000_000),
                audio_output_usd_per_million=Decimal(40_000_000),
                image_output_usd_per_million=Decimal(30_000_000),
            )
        ]
    ),
)
PICTURE = {"type": "image_url", "image_url": {"url": "https://pictures.example/1.png"}}
SMALL_PICTURE = {"type": "image_url", "image_url": {"url": "https://pictures.example/1.png", "detail": "low"}}
SAID = {"role": "user", "content": "Hello"}


def unit_prices(body: dict[str, Any], endpoint: str = CHAT, images: int = 0) -> tuple[Decimal, Decimal]:
    """Of input and output, told from what the request costs at most with two limits."""
    name = "max_output_tokens" if endpoint == "/v1/responses" else "max_tokens"

    def most(limit: int) -> Decimal:
        request = orjson.dumps(body | {name: limit})
        found = SEEING.quote(request, endpoint=endpoint, model_id=SMALL, policy=AnswerPolicy(), stage=Stage.START, at=NOW)
        return found.amount_usd

    output = (most(20) - most(10)) / 10
    return (most(10) - 10 * output) / (size(body | {name: 10}) + images), output


@pytest.mark.parametrize(
    ("body", "endpoint", "expected"),
    [
        ({"messages": [SAID]}, CHAT, (1, 30)),
        ({"messages": [SAID], "modalities": ["text"]}, CHAT, (1, 2)),
        ({"messages": [SAID], "modalities": ["text", "audio"]}, CHAT, (1, 40)),
        ({"messages": [SAID], "audio": {"voice": "alloy"}, "modalities": ["text"]}, CHAT, (20, 40)),
        ({"messages": [SAID], "some_new_thing": 1, "modalities": ["text"]}, CHAT, (20, 40)),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}], "modalities": ["text"]}, CHAT, (1, 2)),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}], "modalities": ["text"]}, CHAT, (20, 2)),
        ({"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}], "modalities": ["text"]}, CHAT, (20, 2)),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "", "more": []}]}]}, CHAT, (20, 30)),
        ({"messages": [{"role": "user", "content": {"type": "text"}}]}, CHAT, (20, 30)),
        ({"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}, SAID], "modalities": ["text"]}, CHAT, (20, 2)),
        ({"messages": [SAID], "tools": [{"type": "function", "function": {}}], "modalities": ["text"]}, CHAT, (1, 2)),
        ({"messages": [SAID], "tools": [{"type": "web_search"}], "modalities": ["text"]}, CHAT, (20, 2)),
        ({"messages": "Hello"}, CHAT, (20, 30)),
        ({"messages": ["Hello"]}, CHAT, (20, 30)),
        ({"prompt": "Hello"}, "/v1/completions", (1, 30)),
        ({"prompt": {"id": "prompt_1"}}, "/v1/completions", (20, 30)),
        ({"input": "Hello", "modalities": ["text"]}, "/v1/responses", (1, 2)),
        ({"input": [SAID, {"type": "function_call_output", "call_id": "1", "output": "x"}]}, "/v1/responses", (1, 30)),
        ({"input": [{"type": "function_call_output", "call_id": "1", "output": [PICTURE]}]}, "/v1/responses", (20, 30)),
        ({"input": [{"type": "item_reference", "id": "1"}]}, "/v1/responses", (20, 30)),
        ({"input": "Hello", "previous_response_id": "resp_1"}, "/v1/responses", (20, 40)),
    ],
)
def test_kinds_that_a_request_neither_holds_nor_asks_for_don_t_count(
    body: dict[str, Any], endpoint: str, expected: tuple[int, int]
) -> None:
    images = TOKENS_OF_IMAGE if PICTURE["type"] in orjson.dumps(body).decode() else 0
    assert unit_prices(body, endpoint, images) == expected


@pytest.mark.parametrize(
    ("body", "endpoint", "tokens"),
    [
        ({"messages": [{"role": "user", "content": [PICTURE]}]}, CHAT, TOKENS_OF_IMAGE),
        ({"messages": [{"role": "user", "content": [PICTURE, SMALL_PICTURE]}]}, CHAT, TOKENS_OF_IMAGE + TOKENS_OF_SMALL_IMAGE),
        ({"messages": [SAID, {"role": "user", "content": [{"type": "text", "text": "image_url"}]}]}, CHAT, 0),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "file-1"}]}]}, "/v1/responses", TOKENS_OF_IMAGE),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "https://x", "detail": "low"}]}]},
            "/v1/responses",
            TOKENS_OF_SMALL_IMAGE,
        ),
    ],
)
def test_each_picture_counts_as_many_tokens_as_one_may_have(body: dict[str, Any], endpoint: str, tokens: int) -> None:
    limit = {"max_output_tokens" if endpoint == "/v1/responses" else "max_tokens": 10}
    assert quote(body | limit, endpoint=endpoint).amount_usd == size(body | limit) + tokens + 10 * 2


def test_a_picture_that_is_spelt_with_escapes_counts_as_well() -> None:
    plain = orjson.dumps({"model": "small", "messages": [{"role": "user", "content": [PICTURE]}], "max_tokens": 10})
    hidden = plain.replace(b"image_url", b"\\u0069mage_url")
    assert b"image" not in hidden
    assert quote(hidden).amount_usd == len(hidden) + TOKENS_OF_IMAGE + 10 * 2
