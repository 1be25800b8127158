"""What metadata and headers say about how answers are come by."""

import pytest

from apps.providers.domain.contract import ContractRefusedError
from apps.providers.domain.policy import (
    PLAIN,
    AnswerPolicy,
    CacheTimes,
    PolicyRefusedError,
    check_request,
    load_policy,
    of_headers,
    of_metadata,
    read_policy,
)

CHAT = "/v1/chat/completions"
TIMES = CacheTimes(usual_seconds=100, most_seconds=1000)


def read(endpoint: str = CHAT, **metadata: str) -> AnswerPolicy:
    return read_policy(of_metadata(metadata), endpoint=endpoint, times=TIMES)


def test_nothing_said_is_plain() -> None:
    assert read() is PLAIN
    assert read(run="7", cache="off", output_contract="off", failover="on") == PLAIN
    assert PLAIN.as_json() is None
    assert load_policy(None) is PLAIN


def test_everything_can_be_said_in_metadata_and_in_headers() -> None:
    wanted = AnswerPolicy(cache_seconds=60, has_contract=True, first_model="tiny", accept_if="schema, confidence>=0.8", has_failover=False)
    metadata = {"cache": "60", "output_contract": "on", "first_model": "tiny", "accept_if": "schema, confidence>=0.8", "failover": "off"}
    assert read(**metadata) == wanted
    headers = {
        "X-Cache": "60",
        "X-Output-Contract": "on",
        "X-First-Model": "tiny",
        "X-Accept-If": "schema, confidence>=0.8",
        "X-Failover": "off",
    }
    assert read_policy(of_headers(headers), endpoint=CHAT, times=TIMES) == wanted
    assert load_policy(wanted.as_json()) == wanted
    assert "tiny is asked first" in wanted.in_words()


def test_the_cache_keeps_for_the_usual_time_and_never_longer_than_allowed() -> None:
    assert read(cache="on").cache_seconds == 100
    assert read_policy(of_metadata({"cache": "on"}), endpoint=CHAT, times=CacheTimes(100, 50)).cache_seconds == 50


@pytest.mark.parametrize(
    ("metadata", "param"),
    [
        ({"cache": "yes"}, "metadata.cache"),
        ({"cache": "0"}, "metadata.cache"),
        ({"cache": "1001"}, "metadata.cache"),
        ({"cache": "١٢"}, "metadata.cache"),
        ({"output_contract": "true"}, "metadata.output_contract"),
        ({"failover": "no"}, "metadata.failover"),
        ({"first_model": "x" * 201}, "metadata.first_model"),
        ({"accept_if": "schema"}, "metadata.accept_if"),
        ({"first_model": "tiny", "accept_if": "good"}, "metadata.accept_if"),
        ({"first_model": "tiny", "accept_if": "a>=x"}, "metadata.accept_if"),
        ({"first_model": "tiny", "accept_if": ",".join(["schema"] * 9)}, "metadata.accept_if"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(metadata: dict[str, str], param: str) -> None:
    with pytest.raises(PolicyRefusedError) as caught:
        read(**metadata)
    assert caught.value.param == param
    assert f"'{param}'" in caught.value.message


def test_vectors_can_be_cached_and_not_judged() -> None:
    assert read("/v1/embeddings", cache="on").cache_seconds == 100
    for name, value in (("output_contract", "on"), ("first_model", "tiny")):
        with pytest.raises(PolicyRefusedError) as caught:
            read("/v1/embeddings", **{name: value})
        assert caught.value.param == f"metadata.{name}"


def test_a_header_is_named_as_the_caller_wrote_it() -> None:
    with pytest.raises(PolicyRefusedError) as caught:
        read_policy(of_headers({"X-Cache": "soon"}), endpoint=CHAT, times=TIMES)
    assert caught.value.param == "X-Cache"


def test_requests_are_held_against_the_policy() -> None:
    check_request(read(cache="on"), {"model": "small"}, endpoint=CHAT)
    with pytest.raises(ContractRefusedError) as caught:
        check_request(read(first_model="small"), {"model": "small"}, endpoint=CHAT)
    assert caught.value.param == "model"
    with pytest.raises(ContractRefusedError) as caught:
        check_request(read(first_model="tiny", accept_if="schema"), {"model": "small"}, endpoint=CHAT)
    assert caught.value.param == "response_format"
    check_request(read(output_contract="on"), {"model": "small", "response_format": {"type": "json_object"}}, endpoint=CHAT)
