"""A model without a price: flagged by default, refused where the platform is told to; never silently free."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from pytest_django import Settings

from apps.jobs.actions import run_items
from apps.jobs.actions.call_threads import in_thread
from apps.jobs.actions.check_lines import check_lines
from apps.jobs.domain.intake import LineRules
from apps.jobs.models import Item, Job
from apps.jobs.queries import read_counters
from apps.providers.models import Model, Provider, Target
from apps.providers.queries import load_catalogue
from apps.spend.models import Charge, Price
from apps.traces.actions import store_bodies
from apps.traces.domain.bodies import make_body
from apps.traces.models import Exchange
from tests.jobs.calls.callers import GOOD, make_callable, make_secret, post
from tests.jobs.rows import make_job
from tests.simulated import Simulator

pytestmark = pytest.mark.django_db(transaction=True)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def model(simulator: Simulator) -> Model:
    provider = Provider.objects.create(name="simulated", base_url=simulator.base_url)
    model = Model.objects.create(name="small", max_output_tokens=30)
    Target.objects.create(model=model, provider=provider, upstream_model="simulated")
    return model


def give_price(provider: Provider, upstream_model: str = "simulated") -> None:
    Price.objects.create(
        provider_id=provider.id, upstream_model=upstream_model, effective_from=BEGIN, input_usd_per_million=1, output_usd_per_million=1
    )


def run_one(model: Model) -> Item:
    job: Job = make_job(model_id=model.id)
    body = make_body(job.workspace_id, orjson.dumps({"model": "small", "messages": [{"role": "user", "content": "hello"}]}))
    store_bodies([body])
    Item.objects.filter(job=job).update(request_body_id=body.id)
    run_items(lane="default", job_id=None, replaces=None, is_isolating=False, clock=lambda: datetime.now(UTC))
    return Item.objects.get(job=job)


def test_flagged_it_is_answered_charged_nothing_and_counted(model: Model) -> None:
    before = read_counters().get("unpriced", 0)
    assert run_one(model).state == "done"
    charge = Charge.objects.get()
    assert (charge.price_id, charge.prices, charge.cost_usd) == (None, None, 0)
    assert charge.input_tokens > 0
    assert read_counters()["unpriced"] == before + 1


def test_refused_an_item_that_has_no_price_dies_before_anything_is_sent(model: Model, settings: Settings) -> None:
    settings.SPEND_WITHOUT_PRICE = "refuse"
    item = run_one(model)
    assert (item.state, item.error_code) == ("dead", "price_unknown")
    assert not Exchange.objects.exists()
    assert not Charge.objects.exists()


def test_refused_a_target_that_has_a_price_is_asked_in_place_of_one_that_has_none(model: Model, settings: Settings) -> None:
    settings.SPEND_WITHOUT_PRICE = "refuse"
    provider = Provider.objects.get()
    Target.objects.create(model=model, provider=provider, upstream_model="priced", position=1)
    give_price(provider, "priced")
    assert run_one(model).state == "done"
    assert Charge.objects.get().upstream_model == "priced"


def test_a_line_of_a_batch_is_refused_by_name(model: Model, settings: Settings, tmp_path: Any) -> None:
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "small", "messages": []}}
    path = tmp_path / "batch.jsonl"
    path.write_bytes(orjson.dumps(line))

    def codes() -> list[str]:
        catalogue = load_catalogue()
        rules = LineRules(endpoint="/v1/chat/completions", model_id=catalogue.model_id, unpriced_models=catalogue.unpriced_models)
        with path.open("rb") as stream:
            return [error.code for error in check_lines(stream, rules).errors]

    assert "price_unknown" not in codes()
    settings.SPEND_WITHOUT_PRICE = "refuse"
    assert codes() == ["price_unknown"]
    give_price(model.targets.get().provider)
    assert "price_unknown" not in codes()


async def test_a_single_call_is_refused_by_name(settings: Settings) -> None:

    await in_thread(make_callable)
    secret = await in_thread(make_secret)
    await in_thread(Price.objects.all().delete)
    settings.SPEND_WITHOUT_PRICE = "refuse"
    answer = await post(secret, GOOD)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("price_unknown", "model")
    assert "has no price" in error["message"]
