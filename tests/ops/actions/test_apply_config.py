"""`manage.py apply`: a file becomes rows, once; applied again it changes nothing, and a wrong one changes nothing either."""

import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from apps.accounts.actions import create_api_key, ensure_workspace
from apps.accounts.domain.keys import Scope
from apps.jobs.models import Recipe
from apps.ops.actions.apply_config import apply_config
from apps.ops.domain import config_file
from apps.providers.models import TOTAL_TIMEOUT_LIMIT_SECONDS, Model, Provider, Target
from apps.providers.queries import load_catalogue
from apps.spend.models import Budget, Price

pytestmark = pytest.mark.django_db

FILE = """
[[providers]]
name = "primary"
base_url = "http://127.0.0.1:9001/v1"
api_key_env = "PRIMARY_KEY"
requests_per_minute = 600

[[providers]]
name = "backup"
base_url = "http://127.0.0.1:9002/v1"
api_key = "sk-backup"

[[models]]
name = "small"
max_output_tokens = 2048
targets = [{provider = "primary", model = "gpt-x-mini", requests_per_minute = 300}, {provider = "backup", model = "claude-y"}]
input_usd_per_million = "0.15"
output_usd_per_million = "0.60"

[[prices]]
provider = "backup"
model = "claude-y"
from = 2026-11-01
input_usd_per_million = "0.80"
output_usd_per_million = "4.00"
"""
NOTHING = ["Nothing to change."]

Apply = Callable[..., list[str]]


@pytest.fixture
def apply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Apply:
    """Applies a text, and returns the lines that it says."""
    monkeypatch.setenv("PRIMARY_KEY", "sk-primary")

    def run(text: str = FILE, *options: str) -> list[str]:
        file, out = tmp_path / "config.toml", StringIO()
        file.write_text(text)
        call_command("apply", str(file), *options, stdout=out)
        return out.getvalue().splitlines()

    return run


def rows() -> tuple[int, ...]:
    return tuple(table.objects.count() for table in (Provider, Model, Target, Price))


def test_apply_makes_what_the_file_declares(apply: Apply) -> None:
    lines = apply()
    assert rows() == (2, 1, 2, 2)
    catalogue = load_catalogue()
    routes = catalogue.routes(Model.objects.get(name="small").id)
    assert [(route.provider_name, route.upstream_model, route.api_key) for route in routes] == [
        ("primary", "gpt-x-mini", "sk-primary"),
        ("backup", "claude-y", "sk-backup"),
    ]
    assert Provider.objects.get(name="primary").requests_per_minute == 600
    assert Target.objects.get(upstream_model="gpt-x-mini").requests_per_minute == 300
    assert Model.objects.get(name="small").max_output_tokens == 2048
    prices = {price.upstream_model: str(price.input_usd_per_million.normalize()) for price in Price.objects.all()}
    assert prices == {"gpt-x-mini": "0.15", "claude-y": "0.8"}
    assert [line.split(":")[0] for line in lines[:-1]] == [
        "provider primary", "provider primary", "provider backup", "provider backup", "model small", "model small", "model small",
        "price of claude-y at backup", "price of gpt-x-mini at primary",
    ]  # fmt: skip
    assert lines[-1] == "9 changes."


def test_apply_again_changes_nothing(apply: Apply) -> None:
    apply()
    before = list(Provider.objects.order_by("name").values()), list(Target.objects.order_by("id").values())
    assert apply() == NOTHING
    assert (list(Provider.objects.order_by("name").values()), list(Target.objects.order_by("id").values())) == before
    assert rows() == (2, 1, 2, 2)


def test_apply_shows_no_key(apply: Apply) -> None:
    assert "sk-" not in "\n".join(apply())


def test_apply_dry_run_shows_the_same_and_changes_nothing(apply: Apply) -> None:
    shown = apply(FILE, "--dry-run")
    assert rows() == (0, 0, 0, 0)
    assert shown[-1] == "9 changes; nothing was changed: this was a dry run."
    done = apply()
    assert [line.split(": from")[0] for line in done[:-1]] == [line.split(": from")[0] for line in shown[:-1]]


def test_apply_leaves_what_the_file_leaves_out(apply: Apply) -> None:
    apply()
    Provider.objects.filter(name="primary").update(tokens_per_minute=5, is_enabled=False)
    apply(FILE.replace("requests_per_minute = 600\n", ""))
    primary = Provider.objects.get(name="primary")
    assert (primary.tokens_per_minute, primary.requests_per_minute, primary.is_enabled) == (5, 600, False)
    assert apply('[[models]]\nname = "small"\n') == NOTHING
    assert Target.objects.count() == 2


def test_apply_shows_each_change(apply: Apply) -> None:
    apply()
    changed = FILE.replace("requests_per_minute = 600", "requests_per_minute = 700\noutput_tokens_per_minute = 1000").replace(
        "sk-backup", "sk-new"
    )
    changed = changed.replace("requests_per_minute = 300", "requests_per_minute = 300, input_tokens_per_minute = 4000")
    assert apply(changed) == [
        "provider primary: requests_per_minute 600 -> 700",
        "provider primary: output_tokens_per_minute none -> 1000",
        "provider backup: key stored",
        "model small: target gpt-x-mini at primary: input_tokens_per_minute none -> 4000",
        "4 changes.",
    ]
    route = load_catalogue().routes(Model.objects.get().id)[0]
    assert (route.provider_limits.output_tokens_per_minute, route.target_limits.input_tokens_per_minute) == (1000, 4000)
    assert load_catalogue().routes(Model.objects.get().id)[1].api_key == "sk-new"


def test_apply_sends_no_stored_key_to_another_server(apply: Apply) -> None:
    apply()
    moved = '[[providers]]\nname = "backup"\nbase_url = "http://127.0.0.9:9002/v1"\n'
    with pytest.raises(CommandError, match="backup: base_url goes to another server, so name the key again"):
        apply(moved)
    assert Provider.objects.get(name="backup").base_url == "http://127.0.0.1:9002/v1"
    assert apply(moved + 'api_key = "sk-backup"\n') == [
        "provider backup: base_url http://127.0.0.1:9002/v1 -> http://127.0.0.9:9002/v1",
        "1 change.",
    ]
    assert apply(moved.replace("/v1", "/v2"))[-1] == "1 change."
    assert apply(moved + 'api_key = ""\n')[-1] == "2 changes."
    assert apply(moved.replace("127.0.0.9", "127.0.0.10"))[-1] == "1 change."


def test_apply_an_empty_key_removes_it_once(apply: Apply) -> None:
    apply()
    without = FILE.replace("sk-backup", "")
    assert apply(without) == ["provider backup: key removed", "1 change."]
    assert apply(without) == NOTHING


def test_apply_a_new_order_of_targets_is_the_failover_order(apply: Apply) -> None:
    apply()
    first, second = '{provider = "primary", model = "gpt-x-mini", requests_per_minute = 300}', '{provider = "backup", model = "claude-y"}'
    apply(FILE.replace(f"{first}, {second}", f"{second}, {first}"))
    routes = load_catalogue().routes(Model.objects.get().id)
    assert [route.provider_name for route in routes] == ["backup", "primary"]


def test_apply_a_target_that_is_no_longer_listed_goes(apply: Apply) -> None:
    apply()
    lines = apply(FILE.replace(', {provider = "backup", model = "claude-y"}', ""))
    assert lines == ["model small: target claude-y at backup removed", "1 change."]
    assert Target.objects.count() == 1


def test_apply_a_changed_price_is_a_new_row(apply: Apply) -> None:
    apply()
    (line, _) = apply(FILE.replace('"0.15"', '"0.20"'))
    assert line.startswith("price of gpt-x-mini at primary: from ")
    assert line.endswith("input_usd_per_million 0.20, output_usd_per_million 0.60")
    assert Price.objects.filter(upstream_model="gpt-x-mini").count() == 2


TIERS = """
tiers = [
    {above_input_tokens = 500_000, input_usd_per_million = 3.0},
    {above_input_tokens = 200_000, input_usd_per_million = "1.60", output_usd_per_million = "6.00"},
]
image_input_usd_per_million = "1.20"
"""


def test_apply_prices_of_long_contexts_and_pictures_once(apply: Apply) -> None:
    line, _ = (line for line in apply(FILE + TIERS) if "claude-y at backup: from" in line or line.endswith("changes."))
    assert '{"above_input_tokens": 200000, "input_usd_per_million": "1.6", "output_usd_per_million": "6"}' in line
    price = Price.objects.get(upstream_model="claude-y")
    assert price.image_input_usd_per_million == Decimal("1.2")
    assert [(tier["above_input_tokens"], tier["input_usd_per_million"]) for tier in price.tiers] == [(200_000, "1.6"), (500_000, "3")]
    assert apply(FILE + TIERS) == NOTHING
    with pytest.raises(CommandError, match="another price begins at"):
        apply(FILE + TIERS.replace("1.60", "1.70"))


def test_apply_shorthand_takes_tiers_as_well(apply: Apply) -> None:
    shorthand = FILE.replace(
        'output_usd_per_million = "0.60"', 'output_usd_per_million = "0.60"\ntiers = [{above_input_tokens = 9, request_usd = 1}]'
    )
    apply(shorthand)
    assert Price.objects.get(upstream_model="gpt-x-mini").tiers == [{"above_input_tokens": 9, "request_usd": "1"}]
    assert apply(shorthand) == NOTHING


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"0.80"', '"0.90"', "claude-y at backup: another price begins at 2026-11-01"),
        ('provider = "backup", model', 'provider = "nobody", model', "[[models]] small: there is no provider 'nobody'"),
        ('name = "backup"\nbase_url = "http://127.0.0.1:9002/v1"', 'name = "new"', "provider new is new and needs a base_url"),
        ("requests_per_minute = 600", "requests_per_minut = 600", "[[providers]] primary: 'requests_per_minut' is no key"),
        ("[[prices]]", "[[prices]", "is not TOML"),
        ("PRIMARY_KEY", "NOT_SET", "api_key_env names NOT_SET"),
    ],
)
def test_apply_a_wrong_file_changes_nothing(apply: Apply, old: str, new: str, told: str) -> None:
    apply()
    before = rows()
    wrong = FILE.replace("requests_per_minute = 600", "requests_per_minute = 601") if old != "requests_per_minute = 600" else FILE
    with pytest.raises(CommandError) as refused:
        apply(wrong.replace(old, new))
    assert told in str(refused.value)
    assert "config.toml" in str(refused.value)
    assert rows() == before
    assert Provider.objects.get(name="primary").requests_per_minute == 600


def test_apply_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="can't be read"):
        call_command("apply", str(tmp_path / "none.toml"))


def test_the_longest_timeout_of_the_file_is_that_of_the_table() -> None:
    assert config_file._TOTAL_LIMIT_SECONDS == TOTAL_TIMEOUT_LIMIT_SECONDS


@pytest.mark.django_db(transaction=True)
def test_apply_two_at_once_come_one_after_the_other() -> None:
    config = config_file.read_config(tomllib.loads(FILE), environment={"PRIMARY_KEY": "sk-primary"})

    def run(_: int) -> int:
        try:
            return len(apply_config(config=config, is_dry_run=False, clock=timezone.now))
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(run, range(4))) == [0, 0, 0, 9]
    assert rows() == (2, 1, 2, 2)


BUDGETS = """
[[budgets]]
scope = "platform"
period = "day"
limit_usd = "100"

[[budgets]]
scope = "workspace"
name = "demo"
period = "month"
limit_usd = "50"

[[budgets]]
scope = "api_key"
name = "nightly"
workspace = "demo"
period = "hour"
limit_usd = "1.5"
hard = false

[[budgets]]
scope = "user"
name = "ada@example.com"
period = "total"
limit_usd = "2"
"""


def test_budgets_are_made_once_and_changed_by_another_file(apply: Apply) -> None:
    key = create_api_key(workspace_id=ensure_workspace(name="demo").id, name="nightly", scopes=(Scope.CHAT,)).key
    said = apply(BUDGETS)
    assert said[:2] == ["budget of the platform by day: $100 (hard)", "budget of workspace demo by month: $50 (hard)"]
    rows = set(Budget.objects.values_list("scope", "workspace__name", "api_key", "subject", "period", "cap_usd", "is_hard"))
    assert rows == {
        ("platform", None, None, "", "day", Decimal(100), True),
        ("workspace", "demo", None, "", "month", Decimal(50), True),
        ("api_key", "demo", key.id, "", "hour", Decimal("1.5"), False),
        ("user", None, None, "ada@example.com", "total", Decimal(2), True),
    }
    assert apply(BUDGETS) == NOTHING
    assert apply(BUDGETS.replace('"50"', '"60"'))[0] == "budget of workspace demo by month: $60 (hard)"


def test_a_budget_makes_the_workspace_that_is_missing_and_refuses_a_key_that_is(apply: Apply) -> None:
    apply('[[budgets]]\nscope = "workspace"\nname = "new"\nperiod = "day"\nlimit_usd = 1')
    assert Budget.objects.get().workspace == ensure_workspace(name="new")
    with pytest.raises(CommandError, match="there is no live API key of that name"):
        apply('[[budgets]]\nscope = "api_key"\nname = "nobody"\nperiod = "day"\nlimit_usd = 1')


RECIPES = '''
[[recipes]]
workspace = "demo"
name = "invoice"
kind = "extract"
description = "Fields of invoices."
model = "small"
schema = """{"type": "object", "properties": {"total": {"type": "number"}}}"""
parameters = {temperature = 0}

[[recipes]]
workspace = "demo"
name = "verdict"
kind = "steps"

[[recipes.steps]]
name = "facts"
each = "part"
model = "small"
user = "{{ text }}"

[[recipes.steps]]
name = "verdict"
model = "small"
user = "{{ facts }}"
'''


def test_recipes_are_declared_once_and_get_the_next_number_when_they_say_something_else(apply: Apply) -> None:
    # The model stands in the same file.
    assert "recipe invoice@1 of demo: extract" in apply(FILE + RECIPES, "--dry-run")
    assert not Recipe.objects.exists()
    assert apply(FILE + RECIPES)[-3:-1] == ["recipe invoice@1 of demo: extract", "recipe verdict@1 of demo: steps"]
    assert apply(RECIPES) == NOTHING
    assert apply(RECIPES.replace("{{ facts }}", "Judge: {{ facts }}")) == ["recipe verdict@2 of demo: steps", "1 change."]
    with pytest.raises(CommandError, match=r"\[\[recipes\]\] verdict: steps.verdict.user uses \{\{ fact \}\}"):
        apply(RECIPES.replace("{{ facts }}", "{{ fact }}"))
    assert Recipe.objects.count() == 3
