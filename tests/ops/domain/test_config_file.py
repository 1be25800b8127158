"""The file of `manage.py apply`, judged: what is wrong in it is named by table, row and key."""

import tomllib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.ops.domain.config_file import Config, ConfigInvalidError, read_config

PROVIDER = '[[providers]]\nname = "primary"\nbase_url = "http://127.0.0.1:9001/v1"\n'
MODEL = '[[models]]\nname = "small"\ntargets = [{provider = "primary", model = "gpt-x-mini"}]\n'
PRICE = '[[prices]]\nprovider = "primary"\nmodel = "gpt-x-mini"\ninput_usd_per_million = "0.15"\noutput_usd_per_million = "0.60"\n'
SHORTHAND = 'input_usd_per_million = "1"\noutput_usd_per_million = "2"\n'


def read(text: str, **environment: str) -> Config:
    return read_config(tomllib.loads(text), environment=environment)


def test_config_of_the_design() -> None:
    config = read(
        """
        [[providers]]
        name = "primary"
        kind = "openai"
        base_url = "http://127.0.0.1:9001/v1"
        api_key_env = "PRIMARY_KEY"
        requests_per_minute = 600
        tokens_per_minute = 200000
        max_concurrency = 100
        total_timeout_seconds = 300

        [[models]]
        name = "small"
        max_output_tokens = 4096
        targets = [{provider = "primary", model = "gpt-x-mini", requests_per_minute = 300}, {provider = "backup", model = "claude-y"}]
        input_usd_per_million = "0.15"
        cached_input_usd_per_million = "0.075"
        output_usd_per_million = "0.60"

        [[prices]]
        provider = "backup"
        model = "claude-y"
        from = 2026-11-01
        input_usd_per_million = "0.80"
        output_usd_per_million = "4.00"
        """,
        PRIMARY_KEY="sk-1\n",
    )
    (provider,), (model,), (price,) = config.providers, config.models, config.prices
    assert (provider.name, provider.api_key, provider.values["total_timeout_seconds"]) == ("primary", "sk-1", 300.0)
    assert [(target.provider, target.upstream_model, dict(target.values)) for target in model.targets or ()] == [
        ("primary", "gpt-x-mini", {"requests_per_minute": 300}),
        ("backup", "claude-y", {}),
    ]
    assert model.prices["cached_input_usd_per_million"] == Decimal("0.075")
    assert (price.starts_at, price.prices["output_usd_per_million"]) == (datetime(2026, 11, 1, tzinfo=UTC), Decimal("4.00"))


def test_config_what_is_left_out_is_not_there() -> None:
    config = read('[[providers]]\nname = "primary"\n[[models]]\nname = "small"\n')
    assert (config.providers[0].values, config.providers[0].api_key) == ({}, None)
    assert (config.models[0].values, config.models[0].targets, config.models[0].prices) == ({}, None, {})
    assert read("") == Config((), (), ())


@pytest.mark.parametrize(
    ("written", "amount"),
    [('"0.15"', "0.15"), ("0.15", "0.15"), ("2", "2"), ('"0"', "0"), ('"0.000000000001"', "0.000000000001"), ("1e-6", "0.000001")],
)
def test_config_amounts_are_exact(written: str, amount: str) -> None:
    price = read(PRICE.replace('"0.15"', written)).prices[0]
    assert price.prices["input_usd_per_million"] == Decimal(amount)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T12:00:00", datetime(2026, 11, 1, 12, tzinfo=UTC)),
        ("2026-11-01T12:00:00+02:00", datetime(2026, 11, 1, 10, tzinfo=UTC)),
    ],
)
def test_config_dates_without_a_zone_are_utc(written: str, moment: datetime) -> None:
    assert read(PRICE + f"from = {written}\n").prices[0].starts_at == moment


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[recipes]]\nname = 'x'", "[[recipes]] x: workspace is missing"),
        (2 * "[[recipes]]\nworkspace = 'w'\nname = 'x'\nkind = 'ask'\n", "[[recipes]] x: w has two rows of that name"),
        ("[[provider]]\nname = 'x'", "[[provider]] is no table of this file"),
        ("providers = 5", "[[providers]]"),
        ("[providers]\nname = 'x'", "[[providers]]"),
        (PROVIDER + "requests_per_minut = 5", "[[providers]] primary: 'requests_per_minut' is no key"),
        (MODEL + "target = []", "[[models]] small: 'target' is no key"),
        (PRICE + "tiers = 5", "[[prices]] gpt-x-mini: tiers: Give a list of tiers"),
        (PRICE + "tiers = [{above_input_tokens = 0, request_usd = 1}]", "tiers: Tier 1: above_input_tokens must be a whole number"),
        (PRICE + "tiers = [{above_input_tokens = 9, price = 1}]", "tiers: Tier 1: 'price' is no price"),
        (PRICE + "tiers = [{above_input_tokens = 9, request_usd = nan}]", "tiers: Tier 1: request_usd must be an amount"),
        (PRICE + "until = 2026-11-01", "[[prices]] gpt-x-mini: 'until' is no key"),
        ("[[providers]]\nbase_url = 'http://a/v1'", "[[providers]] number 1: name is missing"),
        ("[[providers]]\nname = '  '", "name is missing"),
        ("[[providers]]\nname = 5", "[[providers]] 5: name must be a text"),
        (PROVIDER + PROVIDER, "[[providers]] names primary twice"),
        (PROVIDER + "kind = 'telepathy'", "[[providers]] primary: kind must be one of openai"),
        (PROVIDER + "requests_per_minute = 0", "[[providers]] primary: requests_per_minute must be a whole number above 0"),
        (PROVIDER + "requests_per_minute = 1.5", "requests_per_minute must be a whole number"),
        (PROVIDER + "requests_per_minute = true", "requests_per_minute must be a whole number"),
        (PROVIDER + "requests_per_minute = 3000000000", "requests_per_minute must be a whole number"),
        (PROVIDER + "read_timeout_seconds = -1", "read_timeout_seconds must be a number above 0"),
        (PROVIDER + "read_timeout_seconds = nan", "read_timeout_seconds must be a number above 0"),
        (PROVIDER + "read_timeout_seconds = inf", "read_timeout_seconds must be a number above 0"),
        (PROVIDER + "total_timeout_seconds = 901", "total_timeout_seconds must be at most 900"),
        (PROVIDER + "is_enabled = 'yes'", "is_enabled must be true or false"),
        (PROVIDER + "api_key_env = 'NOT_SET'", "[[providers]] primary: api_key_env names NOT_SET, which is not set"),
        (PROVIDER + "api_key_env = 'EMPTY'", "api_key_env names EMPTY, which is not set"),
        (PROVIDER + "api_key = 'a'\napi_key_env = 'HAS'", "[[providers]] primary: give api_key or api_key_env, not both"),
        (PROVIDER + "api_key = 'kö'", "[[providers]] primary: the key holds characters"),
        (PROVIDER + "api_key = 'a\\nb'".replace("'", '"'), "[[providers]] primary: api_key must be a text"),
        ("[[providers]]\nname = '" + "x" * 101 + "'", "name must be a text of at most 100 characters"),
        ('[[models]]\nname = "a\\u0000b"', "name must be a text"),
        ("[[models]]\nname = 'm'\ntargets = 5", "[[models]] m: targets must be a list"),
        ("[[models]]\nname = 'm'\ntargets = ['p']", "[[models]] m, target 1 must look like"),
        ("[[models]]\nname = 'm'\ntargets = [{provider = 'p'}]", "[[models]] m, target 1: model is missing"),
        ("[[models]]\nname = 'm'\ntargets = [{provider = 'p', model = 'x', rpm = 1}]", "[[models]] m, target 1: 'rpm' is no key"),
        (
            "[[models]]\nname = 'm'\ntargets = [{provider = 'p', model = 'x'}, {provider = 'p', model = 'x'}]",
            "[[models]] m: targets name x at p twice",
        ),
        (MODEL + "output_usd_per_million = '1'", "[[models]] small: a price needs input_usd_per_million and output_usd_per_million"),
        ("[[models]]\nname = 'm'\n" + SHORTHAND, "[[models]] m: its prices hold for the targets listed with it"),
        (
            MODEL + SHORTHAND + MODEL.replace("small", "other") + SHORTHAND.replace("1", "3"),
            "[[models]] other: gpt-x-mini at primary has another price in 'small'",
        ),
        (PRICE.replace('"0.15"', "'much'"), "[[prices]] gpt-x-mini: input_usd_per_million must be an amount"),
        (PRICE.replace('"0.15"', "'-1'"), "input_usd_per_million must be an amount"),
        (PRICE.replace('"0.15"', "'NaN'"), "input_usd_per_million must be an amount"),
        (PRICE.replace('"0.15"', "inf"), "input_usd_per_million must be an amount"),
        (PRICE.replace('"0.15"', "true"), "input_usd_per_million must be an amount"),
        (PRICE.replace('"0.15"', "'100000000'"), "input_usd_per_million must be an amount"),
        (PRICE.replace('"0.15"', "'0.0000000000001'"), "input_usd_per_million must be an amount"),
        (PRICE + "from = '2026-11-01'", "[[prices]] gpt-x-mini: from must be a date without quotes"),
        (PRICE + PRICE, "[[prices]] gpt-x-mini: primary has two rows from the same moment"),
        ("[[prices]]\nprovider = 'p'\nmodel = 'x'", "[[prices]] x: give input_usd_per_million"),
    ],
)
def test_config_wrong_says_where(text: str, told: str) -> None:
    with pytest.raises(ConfigInvalidError) as refused:
        read(text, EMPTY="", HAS="sk")
    assert told in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["ftp://a/v1", "a.example/v1", "http://", "http:///v1", "http://u:p@a/v1", "http://a/v1?x=1", "http://a/v1#x", "http://a b/v1", "http://[::1/v1",
     "http://a:99999/v1", ""],
)  # fmt: skip
def test_config_base_url_must_be_one(url: str) -> None:
    with pytest.raises(ConfigInvalidError, match="base_url"):
        read(f'[[providers]]\nname = "p"\nbase_url = "{url}"')


def test_config_never_shows_a_key() -> None:
    for text in ('api_key = "sk-sécret"', 'api_key = "sk-sécret\\u0007"', f'api_key = "sk-sécret{"x" * 2000}"'):
        with pytest.raises(ConfigInvalidError) as refused:
            read(PROVIDER + text)
        assert "sécret" not in str(refused.value)
    assert "sk-1" not in repr(read(PROVIDER + 'api_key = "sk-1"'))


def test_config_models_that_share_a_target_may_share_its_price() -> None:
    assert len(read(MODEL + SHORTHAND + MODEL.replace("small", "other") + SHORTHAND).models) == 2
    assert len(read(MODEL + SHORTHAND + MODEL.replace("small", "other") + SHORTHAND.replace("1", "3") + PRICE).models) == 2


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates() | st.datetimes() | st.times(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_KEYS = st.sampled_from(["name", "kind", "base_url", "api_key", "targets", "provider", "model", "from", "input_usd_per_million", "x"])


@given(st.dictionaries(st.sampled_from(["providers", "models", "prices"]), st.lists(st.dictionaries(_KEYS, _VALUES), max_size=3) | _VALUES))
def test_config_no_content_raises_anything_else(content: dict[str, Any]) -> None:
    try:
        read_config(content, environment={})
    except ConfigInvalidError as error:
        assert str(error)  # noqa: PT017 -- any content may be right or wrong


BUDGET = {"scope": "workspace", "name": "demo", "period": "month", "limit_usd": "50"}


def test_a_budget_is_hard_and_on_unless_it_says_otherwise() -> None:
    (budget,) = read_config({"budgets": [BUDGET]}, environment={}).budgets
    assert (budget.scope, budget.workspace, budget.name, budget.period, budget.limit_usd) == (
        "workspace",
        "demo",
        "demo",
        "month",
        Decimal(50),
    )
    assert (budget.is_hard, budget.is_active) == (True, True)


def test_one_owner_may_have_budgets_of_several_periods() -> None:
    rows = [BUDGET, BUDGET | {"period": "day"}, {"scope": "platform", "period": "total", "limit_usd": 100}]
    assert len(read_config({"budgets": rows}, environment={}).budgets) == 3


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (BUDGET | {"scope": "team"}, "scope must be one of platform, workspace, user, api_key, feature"),
        (BUDGET | {"period": "week"}, "period must be one of hour, day, month, total"),
        ({"scope": "workspace", "name": "demo", "period": "day"}, "limit_usd is missing"),
        (BUDGET | {"limit_usd": "-1"}, "limit_usd must be an amount of US dollars"),
        ({"scope": "user", "period": "day", "limit_usd": 1}, "name is missing"),
        (BUDGET | {"workspace": "other"}, "takes no other workspace"),
        (BUDGET | {"cap": 1}, "'cap' is no key of this table"),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused_by_name(row: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigInvalidError, match=told):
        read_config({"budgets": [row]}, environment={})


def test_a_budget_that_stands_twice_is_refused() -> None:
    with pytest.raises(ConfigInvalidError, match="two rows by month"):
        read_config({"budgets": [BUDGET, BUDGET]}, environment={})
