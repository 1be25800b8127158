"""The file of `manage.py apply`: read strictly, so that a misspelt key is told and not ignored."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from apps.providers.domain.base_url import WHAT_IT_MUST_BE, is_base_url
from apps.providers.domain.kinds import KINDS, USUAL_KIND
from apps.spend.domain.pricing import TiersInvalidError, read_tiers

_TABLES = ("providers", "models", "prices", "budgets", "recipes")
_TOTAL_LIMIT_SECONDS = 900
# What the columns hold: 32-bit whole numbers, and amounts with 8 digits before the point and 12 behind it.
_MOST = 2**31 - 1
_MOST_USD, _MONEY_PLACES = Decimal(10**8), 12
PRICE_KEYS = (
    "input_usd_per_million",
    "cached_input_usd_per_million",
    "cache_write_usd_per_million",
    "output_usd_per_million",
    "reasoning_usd_per_million",
    "request_usd",
    "cache_write_1h_usd_per_million",
    "audio_input_usd_per_million",
    "image_input_usd_per_million",
    "audio_output_usd_per_million",
    "image_output_usd_per_million",
    "tiers",
)


@dataclass(frozen=True, slots=True)
class _Text:
    """A text of at most so many characters."""

    most: int


class _Tiers:
    """Other prices for long contexts."""


_Kind = type | _Text
_PROVIDER_NAME, _MODEL_NAME, _SECRET = _Text(100), _Text(200), _Text(2000)
_LIMITS: dict[str, _Kind] = {
    "requests_per_minute": int, "tokens_per_minute": int, "input_tokens_per_minute": int, "output_tokens_per_minute": int,
}  # fmt: skip
_PRICES: dict[str, _Kind] = {**dict.fromkeys(PRICE_KEYS, Decimal), "tiers": _Tiers}
_PROVIDER_KEYS: dict[str, _Kind] = {
    "name": _PROVIDER_NAME, "kind": _Text(20), "base_url": _Text(500), "api_key": _SECRET, "api_key_env": _SECRET,
    **_LIMITS, "max_concurrency": int,
    "connect_timeout_seconds": float, "read_timeout_seconds": float, "total_timeout_seconds": float, "is_enabled": bool,
}  # fmt: skip
_MODEL_KEYS: dict[str, _Kind] = {"name": _MODEL_NAME, "max_output_tokens": int, "is_enabled": bool, "targets": list, **_PRICES}
_TARGET_KEYS: dict[str, _Kind] = {"provider": _PROVIDER_NAME, "model": _MODEL_NAME, **_LIMITS, "is_enabled": bool}
_PRICE_KEYS: dict[str, _Kind] = {"provider": _PROVIDER_NAME, "model": _MODEL_NAME, "from": datetime, **_PRICES}


_BUDGET_KEYS: dict[str, _Kind] = {
    "scope": _Text(10), "name": _Text(255), "workspace": _Text(100), "period": _Text(5), "limit_usd": Decimal, "hard": bool,
    "is_active": bool,
}  # fmt: skip
_RECIPE_KEYS: dict[str, _Kind] = {"workspace": _Text(100), "name": _Text(50), "kind": _Text(20), "description": _Text(500)}
BUDGET_SCOPES = ("platform", "workspace", "user", "api_key", "feature")
_PERIODS = ("hour", "day", "month", "total")


class ConfigInvalidError(Exception):
    """Something in the file is wrong; the message names the table, the row and the key."""


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """A provider's values as given (those left out stay as they are) and its key in clear, None to leave it."""

    name: str
    values: Mapping[str, Any]
    api_key: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class TargetEntry:
    """Who answers for a model, with limits of its own."""

    provider: str
    upstream_model: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model; `targets` is None when the file doesn't list them (they stay), `prices` hold for those without a row of their own.

    `prices` are Decimals by their names, and `tiers` as `read_tiers` leaves them.
    """

    name: str
    values: Mapping[str, Any]
    targets: tuple[TargetEntry, ...] | None
    prices: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PriceEntry:
    """A dated price; `starts_at` None means from now on."""

    provider: str
    upstream_model: str
    starts_at: datetime | None
    prices: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BudgetEntry:
    """What may be spent by whom; `workspace` is empty where the budget is the platform's, or of all workspaces together."""

    scope: str
    name: str
    workspace: str
    period: str
    limit_usd: Decimal
    is_hard: bool
    is_active: bool


@dataclass(frozen=True, slots=True)
class RecipeEntry:
    """A recipe of a workspace; `declared` is what its kind takes, judged where recipes are declared."""

    workspace: str
    name: str
    kind: str
    description: str
    declared: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Config:
    """A file that is in order."""

    providers: tuple[ProviderEntry, ...]
    models: tuple[ModelEntry, ...]
    prices: tuple[PriceEntry, ...]
    budgets: tuple[BudgetEntry, ...] = ()
    recipes: tuple[RecipeEntry, ...] = ()


def read_config(content: Mapping[str, Any], *, environment: Mapping[str, str]) -> Config:
    """The file's tables, judged; ConfigInvalidError names what is wrong. Keys of providers are read from `environment`."""
    for name in content:
        if name not in _TABLES:
            raise ConfigInvalidError(f"[[{name}]] is no table of this file; there are {', '.join(f'[[{table}]]' for table in _TABLES)}.")
    config = Config(
        providers=tuple(_read_provider(row, where, environment) for row, where in _rows(content, "providers")),
        models=tuple(_read_model(row, where) for row, where in _rows(content, "models")),
        prices=tuple(_read_price(row, where) for row, where in _rows(content, "prices")),
        budgets=tuple(_read_budget(row, where) for row, where in _rows(content, "budgets")),
        recipes=tuple(_read_recipe(row, where) for row, where in _rows(content, "recipes")),
    )
    _refuse_doubled_prices(config.prices)
    _refuse_doubled_budgets(config.budgets)
    _refuse_doubled_recipes(config.recipes)
    _refuse_two_shorthands(config)
    return config


def _refuse_doubled_prices(prices: tuple[PriceEntry, ...]) -> None:
    seen: set[tuple[str, str, datetime | None]] = set()
    for price in prices:
        key = (price.provider, price.upstream_model, price.starts_at)
        if key in seen:
            raise ConfigInvalidError(f"[[prices]] {price.upstream_model}: {price.provider} has two rows from the same moment; keep one.")
        seen.add(key)


def _refuse_two_shorthands(config: Config) -> None:
    """Two models may share a target, but it has one price."""
    own = {(price.provider, price.upstream_model) for price in config.prices}
    first: dict[tuple[str, str], ModelEntry] = {}
    for model in config.models:
        for target in model.targets or ():
            key = (target.provider, target.upstream_model)
            if not model.prices or key in own:
                continue
            other = first.setdefault(key, model)
            if other.prices != model.prices:
                raise ConfigInvalidError(
                    f"[[models]] {model.name}: {target.upstream_model} at {target.provider} has another price in {other.name!r};"
                    " give it a row in [[prices]]."
                )


def _rows(content: Mapping[str, Any], table: str) -> list[tuple[dict[str, Any], str]]:
    rows = content.get(table, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ConfigInvalidError(f"{table} must be written as [[{table}]], once for each row.")
    named = [(row, f"[[{table}]] {row.get('name') or row.get('model') or f'number {number}'}") for number, row in enumerate(rows, start=1)]
    names = [row["name"] for row in rows if isinstance(row.get("name"), str)]
    if table not in {"budgets", "recipes"} and (doubled := sorted({name for name in names if names.count(name) > 1})):
        raise ConfigInvalidError(f"[[{table}]] names {', '.join(doubled)} twice.")
    return named


def _read_provider(row: dict[str, Any], where: str, environment: Mapping[str, str]) -> ProviderEntry:
    values = _checked(row, _PROVIDER_KEYS, where, needed=("name",))
    kind, total = values.get("kind", USUAL_KIND), values.get("total_timeout_seconds", 1)
    if kind not in KINDS:
        raise ConfigInvalidError(f"{where}: kind must be one of {', '.join(KINDS)}, not {kind!r}.")
    if total > _TOTAL_LIMIT_SECONDS:
        raise ConfigInvalidError(f"{where}: total_timeout_seconds must be at most {_TOTAL_LIMIT_SECONDS}.")
    if "base_url" in values and not is_base_url(values["base_url"]):
        raise ConfigInvalidError(f"{where}: base_url {WHAT_IT_MUST_BE}")
    api_key, variable = values.pop("api_key", None), values.pop("api_key_env", None)
    if variable is not None:
        if api_key is not None:
            raise ConfigInvalidError(f"{where}: give api_key or api_key_env, not both.")
        api_key = environment.get(variable)
        if not api_key:
            raise ConfigInvalidError(f"{where}: api_key_env names {variable}, which is not set in the environment.")
    if api_key is not None:
        api_key = api_key.strip()
        if not (api_key.isascii() and api_key.isprintable()):
            raise ConfigInvalidError(f"{where}: the key holds characters that can't be sent.")
    return ProviderEntry(name=values.pop("name"), values=values, api_key=api_key)


def _read_model(row: dict[str, Any], where: str) -> ModelEntry:
    values = _checked(row, _MODEL_KEYS, where, needed=("name",))
    prices = {name: values.pop(name) for name in PRICE_KEYS if name in values}
    _check_prices(prices, where)
    rows = values.pop("targets", None)
    targets = None if rows is None else tuple(_read_target(row, where, number) for number, row in enumerate(rows, start=1))
    if prices and not targets:
        raise ConfigInvalidError(f"{where}: its prices hold for the targets listed with it, and none is listed; use [[prices]].")
    named = [(target.provider, target.upstream_model) for target in targets or ()]
    for provider, upstream_model in named:
        if named.count((provider, upstream_model)) > 1:
            raise ConfigInvalidError(f"{where}: targets name {upstream_model} at {provider} twice.")
    return ModelEntry(name=values.pop("name"), values=values, targets=targets, prices=prices)


def _read_target(row: Any, where: str, number: int) -> TargetEntry:
    where = f"{where}, target {number}"
    if not isinstance(row, dict):
        raise ConfigInvalidError(f'{where} must look like {{provider = "...", model = "..."}}.')
    values = _checked(row, _TARGET_KEYS, where, needed=("provider", "model"))
    return TargetEntry(provider=values.pop("provider"), upstream_model=values.pop("model"), values=values)


def _read_price(row: dict[str, Any], where: str) -> PriceEntry:
    values = _checked(row, _PRICE_KEYS, where, needed=("provider", "model"))
    prices = {name: values[name] for name in PRICE_KEYS if name in values}
    if not prices:
        raise ConfigInvalidError(f"{where}: give input_usd_per_million and output_usd_per_million.")
    _check_prices(prices, where)
    return PriceEntry(provider=values["provider"], upstream_model=values["model"], starts_at=values.get("from"), prices=prices)


def _read_budget(row: dict[str, Any], where: str) -> BudgetEntry:
    values = _checked(row, _BUDGET_KEYS, where, needed=("scope", "period"))
    scope, period, name = values["scope"], values["period"], values.get("name", "")
    if scope not in BUDGET_SCOPES:
        raise ConfigInvalidError(f"{where}: scope must be one of {', '.join(BUDGET_SCOPES)}, not {scope!r}.")
    if period not in _PERIODS:
        raise ConfigInvalidError(f"{where}: period must be one of {', '.join(_PERIODS)}, not {period!r}.")
    if "limit_usd" not in values:
        raise ConfigInvalidError(f"{where}: limit_usd is missing.")
    if scope != "platform" and not name:
        raise ConfigInvalidError(f"{where}: name is missing: whom does it bound?")
    workspace = {"platform": "", "workspace": name}.get(scope, values.get("workspace", ""))
    if workspace != values.get("workspace", workspace):
        raise ConfigInvalidError(f"{where}: a budget of scope {scope} takes no other workspace; leave it out.")
    return BudgetEntry(
        scope=scope,
        name="" if scope == "platform" else name,
        workspace=workspace,
        period=period,
        limit_usd=values["limit_usd"],
        is_hard=values.get("hard", True),
        is_active=values.get("is_active", True),
    )


def _refuse_doubled_budgets(budgets: tuple[BudgetEntry, ...]) -> None:
    seen: set[tuple[str, str, str, str]] = set()
    for budget in budgets:
        key = (budget.scope, budget.workspace, budget.name, budget.period)
        if key in seen:
            raise ConfigInvalidError(f"[[budgets]] {budget.name or 'platform'}: it has two rows by {budget.period}; keep one.")
        seen.add(key)


def _read_recipe(row: dict[str, Any], where: str) -> RecipeEntry:
    own = {key: value for key, value in row.items() if key in _RECIPE_KEYS}
    values = _checked(own, _RECIPE_KEYS, where, needed=("workspace", "name", "kind"))
    declared = {key: value for key, value in row.items() if key not in _RECIPE_KEYS}
    return RecipeEntry(values["workspace"], values["name"], values["kind"], values.get("description", ""), declared)


def _refuse_doubled_recipes(recipes: tuple[RecipeEntry, ...]) -> None:
    seen: set[tuple[str, str]] = set()
    for recipe in recipes:
        if (key := (recipe.workspace, recipe.name)) in seen:
            raise ConfigInvalidError(f"[[recipes]] {recipe.name}: {recipe.workspace} has two rows of that name; keep one.")
        seen.add(key)


def _check_prices(prices: Mapping[str, Any], where: str) -> None:
    if prices and not {"input_usd_per_million", "output_usd_per_million"} <= set(prices):
        raise ConfigInvalidError(f"{where}: a price needs input_usd_per_million and output_usd_per_million.")


def _checked(row: dict[str, Any], kinds: Mapping[str, _Kind], where: str, *, needed: tuple[str, ...]) -> dict[str, Any]:
    for key in row:
        if key not in kinds:
            raise ConfigInvalidError(f"{where}: {key!r} is no key of this table; there are {', '.join(kinds)}.")
    for key in needed:
        if not row.get(key) or not str(row[key]).strip():
            raise ConfigInvalidError(f"{where}: {key} is missing.")
    return {key: _read_value(value, kinds[key], f"{where}: {key}") for key, value in row.items()}


def _read_value(value: Any, kind: _Kind, where: str) -> Any:
    """The value as its column takes it. Texts are never shown in an error: one of them may be a key."""
    if kind is Decimal:
        return _read_money(value, where)
    if kind is datetime:
        return _read_moment(value, where)
    if kind is _Tiers:
        return _read_tiers(value, where)
    if isinstance(kind, _Text):
        if not isinstance(value, str) or len(value) > kind.most or not value.strip().isprintable():
            raise ConfigInvalidError(f"{where} must be a text of at most {kind.most} characters that can be printed.")
        return value.strip()
    if kind in {int, float}:
        return _read_number(value, is_whole=kind is int, where=where)
    if not isinstance(value, kind):
        raise ConfigInvalidError(f"{where} must be {'a list' if kind is list else 'true or false'}, not {value!r}.")
    return value


def _read_number(value: Any, *, is_whole: bool, where: str) -> int | float:
    is_number = isinstance(value, int if is_whole else int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value <= _MOST:
        raise ConfigInvalidError(f"{where} must be a {'whole ' if is_whole else ''}number above 0 and at most {_MOST}, not {value!r}.")
    return int(value) if is_whole else float(value)


def _read_money(value: Any, where: str) -> Decimal:
    try:
        amount = Decimal(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else Decimal(-1)
    except InvalidOperation:
        amount = Decimal(-1)
    if not (amount.is_finite() and 0 <= amount < _MOST_USD and amount == round(amount, _MONEY_PLACES)):
        raise ConfigInvalidError(f'{where} must be an amount of US dollars, as in "0.15", with at most 12 places, not {value!r}.')
    return amount


def _read_tiers(value: Any, where: str) -> list[dict[str, Any]] | None:
    try:
        return read_tiers(value)
    except TiersInvalidError as error:
        raise ConfigInvalidError(f"{where}: {error}") from error


def _read_moment(value: Any, where: str) -> datetime:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    raise ConfigInvalidError(f"{where} must be a date without quotes, as in 2026-11-01, not {value!r}.")
