"""Cache, contract, first model and failover: whole pumps against the simulated provider, and what the rows say afterwards."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen
from uuid import UUID

import orjson
import psycopg
import pytest
from django.db.models import F
from django.utils import timezone

from apps.accounts.models import Workspace
from apps.jobs.actions import rerun_failed, run_items, settle
from apps.jobs.actions.claim import claim_items
from apps.jobs.actions.settle import settle_group
from apps.jobs.domain.claimed import Finished
from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.models import Item, Job
from apps.jobs.queries import result_chunks
from apps.providers.actions import expire_cache, save_provider_key
from apps.providers.domain.calls import Completion, Course, PaidCall
from apps.providers.domain.calls import Exchange as AskedExchange
from apps.providers.domain.outcomes import Outcome
from apps.providers.domain.policy import AnswerPolicy
from apps.providers.models import CacheEntry, Model, Provider, Target
from apps.spend.domain.usage import TokenUsage
from apps.spend.models import Charge, Price, Saving
from apps.spend.queries import load_price_book
from apps.traces.actions import store_bodies
from apps.traces.domain.bodies import make_body
from apps.traces.models import Body, Exchange, Run
from tests.jobs.rows import make_job, make_workspace
from tests.simulated import Simulator

EXECUTE = psycopg.Cursor.execute

pytestmark = pytest.mark.django_db(transaction=True)
SCHEMA = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}, "confidence": {"type": "number"}}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}
GOOD, WRONG = '{"n":1}', '{"n":"one"}'
# 20 tokens in and 30 out, by the million.
DEAR, CHEAP = Decimal("0.000220"), Decimal("0.000022")


def make_model(name: str, simulator: Simulator, *, factor: int, api_key: str = "") -> Model:
    provider = Provider.objects.create(name=f"at-{name}", base_url=simulator.base_url)
    model = Model.objects.create(name=name)
    Target.objects.create(model=model, provider=provider, upstream_model=f"{name}-upstream")
    Price.objects.create(
        provider_id=provider.id,
        upstream_model=f"{name}-upstream",
        effective_from=datetime(2026, 1, 1, tzinfo=UTC),
        input_usd_per_million=Decimal("0.5") * factor,
        output_usd_per_million=Decimal("0.4") * factor,
    )
    if api_key:
        save_provider_key(provider_id=provider.id, api_key=api_key)
    return model


@pytest.fixture(autouse=True)
def quick(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pumps that don't stand ready for more; what is to be tried again waits for the next one, however its wait is drawn."""
    settings.JOBS_IDLE_SECONDS = 0.4
    settings.JOBS_RETRY_BASE_SECONDS = 200
    monkeypatch.setattr("random.random", lambda: 0.5)


@pytest.fixture
def small(simulator: Simulator) -> Model:
    return make_model("small", simulator, factor=10)


@pytest.fixture
def tiny(simulator: Simulator) -> Model:
    """Asked first; what it says is set by `let_tiny`."""
    model = make_model("tiny", simulator, factor=1, api_key="sk-tiny")
    let_tiny(simulator, "")
    return model


def let_tiny(simulator: Simulator, script: str) -> None:
    body = json.dumps({"api_key": "sk-tiny", "script": script}).encode()
    urlopen(Request(f"{simulator.root}/sim/script", data=body, method="POST"), timeout=10).close()


def say(text: str, repair: str = "") -> str:
    return f"say={quote(text)}" + (f" repair={quote(repair)}" if repair else "")


def make_policy_job(
    model: Model,
    policy: AnswerPolicy,
    prompts: Sequence[str] = ("one",),
    *,
    first: Model | None = None,
    workspace: Workspace | None = None,
    body: dict[str, Any] | None = None,
    **values: Any,
) -> Job:
    job = make_job(
        prompts=prompts, model_id=(first or model).id, workspace=workspace, policy=policy.as_json(), first_model_name=policy.first_model,
        model_name=model.name, **values,
    )  # fmt: skip
    if body:
        for item, prompt in zip(Item.objects.filter(job=job).order_by("position"), prompts, strict=True):
            content = {"model": model.name, "messages": [{"role": "user", "content": prompt}]} | body
            stored = make_body(job.workspace_id, orjson.dumps(content))
            store_bodies([stored])
            Item.objects.filter(id=item.id).update(request_body_id=stored.id)
    return job


def run() -> dict[str, Any]:
    return run_items(lane="default", job_id=None, replaces=None, is_isolating=False, clock=lambda: datetime.now(UTC))


def due() -> None:
    Item.objects.filter(state=ItemState.WAITING).update(not_before=timezone.now())


def answers(job: Job) -> list[Any]:
    lines = [json.loads(line) for chunk in result_chunks(job.id) for line in chunk.splitlines()]
    return [line["response"] or line["error"] for line in lines]


def texts(job: Job) -> list[str]:
    return [answer["body"]["choices"][0]["message"]["content"] for answer in answers(job)]


# --- cache ----------------------------------------------------------------------------------------------------------

CACHED = AnswerPolicy(cache_seconds=3600)


def saved(job: Job) -> tuple[int, Decimal, Decimal]:
    """What the ledger of savings has of it: rows, by the cache, by the first model."""
    rows = Saving.objects.filter(job_id=job.id).values_list("by_cache_usd", "by_first_usd")
    return len(rows), sum((row[0] for row in rows), Decimal(0)), sum((row[1] for row in rows), Decimal(0))


def test_the_same_requests_in_one_pump_are_asked_once(small: Model, simulator: Simulator) -> None:
    job = make_policy_job(small, CACHED, ["a", "b"] * 20)
    run()
    job.refresh_from_db()
    assert (job.done, job.cache_hits, job.cost_usd, job.cache_saved_usd) == (40, 38, 2 * DEAR, 38 * DEAR)
    assert saved(job) == (38, 38 * DEAR, 0)
    assert simulator.calls()["total"] == 2
    assert Charge.objects.count() == 2
    assert CacheEntry.objects.count() == 2
    assert len(texts(job)) == 40
    assert sum(answer.get("cache") == "hit" for answer in answers(job)) == 38
    assert Run.objects.filter(outcome="cached", error_message__startswith="The answer of run_").count() == 38


def test_a_later_job_gets_what_is_kept_for_nothing(small: Model, simulator: Simulator) -> None:
    first = make_policy_job(small, CACHED, ["a"])
    run()
    second = make_policy_job(small, CACHED, ["a"], body={"user": "ada"})
    Item.objects.filter(job=second).update(prompt_version="letter@2")
    run()
    second.refresh_from_db()
    item = Item.objects.get(job=second)
    assert Saving.objects.get(job_id=second.id).prompt_version == "letter@2"
    assert (second.cache_hits, second.cost_usd, second.cache_saved_usd, second.input_tokens) == (1, 0, DEAR, 0)
    assert (item.state, item.answered_by, item.cost_usd, item.status_code, item.paid_calls) == (ItemState.DONE, "cache", 0, 200, 0)
    assert texts(second) == texts(first)
    assert simulator.calls()["total"] == 1
    assert not Charge.objects.filter(item_id=item.id).exists()
    asked = Item.objects.get(job=first).run_id
    assert asked is not None
    assert asked.hex in Run.objects.get(item_id=item.id).error_message
    assert not Exchange.objects.filter(run_id=Run.objects.get(item_id=item.id).id).exists()


def test_nothing_is_shared_across_workspaces(small: Model, simulator: Simulator) -> None:
    make_policy_job(small, CACHED, ["a"], workspace=make_workspace("one"))
    make_policy_job(small, CACHED, ["a"], workspace=make_workspace("two"))
    run()
    make_policy_job(small, CACHED, ["a"], workspace=make_workspace("three"))
    run()
    assert simulator.calls()["total"] == 3
    assert CacheEntry.objects.count() == 3
    assert not Item.objects.filter(answered_by="cache").exists()


def test_a_key_of_another_workspace_opens_nothing(small: Model, simulator: Simulator) -> None:
    make_policy_job(small, CACHED, ["a"])
    run()
    CacheEntry.objects.update(workspace_id=make_workspace("other").id)
    make_policy_job(small, CACHED, ["a"])
    run()
    assert simulator.calls()["total"] == 2


@pytest.mark.parametrize("change", [{"expires_at": timezone.now()}, {"created_at": timezone.now() - timedelta(hours=2)}])
def test_what_is_over_or_older_than_wanted_is_asked_anew(small: Model, simulator: Simulator, change: dict[str, Any]) -> None:
    make_policy_job(small, CACHED, ["a"])
    run()
    CacheEntry.objects.update(**change)
    make_policy_job(small, CACHED, ["a"])
    run()
    make_policy_job(small, CACHED, ["a"])
    run()
    assert simulator.calls()["total"] == 2
    assert CacheEntry.objects.count() == 1


def test_an_entry_whose_answer_is_gone_is_no_hit(small: Model, simulator: Simulator) -> None:
    make_policy_job(small, CACHED, ["a"])
    run()
    Body.objects.filter(id__in=CacheEntry.objects.values("answer_body_id")).delete()
    job = make_policy_job(small, CACHED, ["a"])
    run()
    assert len(texts(job)) == 1
    assert simulator.calls()["total"] == 2


def test_an_answer_that_is_given_again_is_kept_as_long_as_a_new_one(small: Model, simulator: Simulator) -> None:
    make_policy_job(small, CACHED, ["a"])
    run()
    Body.objects.update(created_at=timezone.now() - timedelta(days=29))
    make_policy_job(small, CACHED, ["a"])
    run()
    entry = CacheEntry.objects.get()
    assert Body.objects.get(id=bytes(entry.answer_body_id)).created_at > timezone.now() - timedelta(days=1)


def test_jobs_that_do_not_ask_for_it_neither_read_nor_write(small: Model, simulator: Simulator) -> None:
    make_policy_job(small, AnswerPolicy(), ["a", "a"])
    run()
    assert CacheEntry.objects.count() == 0
    make_policy_job(small, CACHED, ["a"])
    make_policy_job(small, AnswerPolicy(), ["a"])
    run()
    make_policy_job(small, AnswerPolicy(), ["a"])
    run()
    assert simulator.calls()["total"] == 5


def test_when_the_one_call_fails_the_others_ask_by_themselves(small: Model, simulator: Simulator) -> None:
    job = make_policy_job(small, CACHED, ["[[sim status=400 times=1]]"] * 5)
    run()
    job.refresh_from_db()
    assert (job.done, job.dead) == (4, 1)
    assert simulator.calls()["total"] == 5
    assert Charge.objects.count() == 4


def test_failures_are_not_kept(small: Model, simulator: Simulator) -> None:
    make_policy_job(small, CACHED, ["[[sim status=400]]"])
    run()
    assert CacheEntry.objects.count() == 0


def test_expired_entries_go(small: Model, simulator: Simulator) -> None:
    make_policy_job(small, CACHED, ["a", "b"])
    run()
    CacheEntry.objects.filter(key=CacheEntry.objects.values("key")[:1]).update(expires_at=timezone.now())
    assert expire_cache() == 1
    assert expire_cache() == 0
    assert CacheEntry.objects.count() == 1


def test_the_look_up_is_one_query_for_a_group(small: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    make_policy_job(small, CACHED, [f"{n}" for n in range(50)])
    run()
    make_policy_job(small, CACHED, [f"{n}" for n in range(50)])
    statements: list[str] = []
    monkeypatch.setattr(
        psycopg.Cursor, "execute", lambda cursor, query, *given: statements.append(str(query)) or EXECUTE(cursor, query, *given)
    )
    claimed = claim_items(pump_id=UUID(int=1), lanes=("default",), room=100, batch_room=0, turn=0)
    assert sum(item.kept is not None for item in claimed) == 50
    assert sum("providers_cacheentry" in statement for statement in statements) == 1


# --- contract -------------------------------------------------------------------------------------------------------

CONTRACT = AnswerPolicy(has_contract=True)


def test_an_answer_that_keeps_its_contract_is_one_call(small: Model, simulator: Simulator) -> None:
    job = make_policy_job(small, CONTRACT, [f"[[sim {say(GOOD)}]]"], body={"response_format": FORMAT})
    run()
    job.refresh_from_db()
    assert (job.done, job.repaired, job.cost_usd, simulator.calls()["total"]) == (1, 0, DEAR, 1)


def test_a_wrong_answer_is_repaired_once_and_both_are_charged(small: Model, simulator: Simulator) -> None:
    job = make_policy_job(small, CONTRACT, [f"[[sim {say(WRONG, GOOD)}]]"], body={"response_format": FORMAT})
    run()
    job.refresh_from_db()
    item = Item.objects.get(job=job)
    assert (job.done, job.repaired, job.cost_usd) == (1, 1, 2 * DEAR)
    assert (item.answered_by, item.paid_calls, item.cost_usd, item.input_tokens, item.output_tokens) == ("repair", 2, 2 * DEAR, 40, 60)
    assert texts(job) == [GOOD]
    assert list(Charge.objects.order_by("seq").values_list("seq", "cost_usd")) == [(0, DEAR), (1, DEAR)]
    assert "$.n" in Exchange.objects.order_by("id")[0].error


def test_an_answer_that_stays_wrong_is_dead_and_says_where(small: Model, simulator: Simulator) -> None:
    job = make_policy_job(small, CONTRACT, [f"[[sim {say(WRONG)}]]"], body={"response_format": FORMAT})
    run()
    job.refresh_from_db()
    item = Item.objects.get(job=job)
    assert (item.state, item.outcome, item.error_code) == (ItemState.DEAD, "output_contract", "output_contract")
    assert "at $.n: " in item.error_message
    assert (job.dead, job.cost_usd, Charge.objects.count(), simulator.calls()["total"]) == (1, 2 * DEAR, 2, 2)
    assert answers(job)[0]["code"] == "output_contract"
    assert item.answer_body_id is not None


def test_a_refusal_is_not_repaired(small: Model, simulator: Simulator) -> None:
    job = make_policy_job(small, CONTRACT, ["[[sim refuse]]"], body={"response_format": FORMAT})
    run()
    assert Item.objects.get(job=job).error_code == "output_contract"
    assert simulator.calls()["total"] == 1


# A wrong answer that makes the first request for its repair fail, and the second one succeed.
FAILS_THEN_REPAIRED = f"no JSON [[sim status=500 times=1 {say(GOOD)}]]"


def test_a_repair_that_could_not_be_asked_goes_on_where_it_was(tiny: Model, simulator: Simulator) -> None:
    """The wrong answer is paid for once: the next run asks for the repair alone."""
    let_tiny(simulator, say(FAILS_THEN_REPAIRED))
    job = make_policy_job(tiny, CONTRACT, ["a"], body={"response_format": FORMAT})
    run()
    item = Item.objects.get(job=job)
    assert (item.state, item.stage, item.paid_calls, item.attempts) == (ItemState.WAITING, 2, 1, 1)
    assert list(Charge.objects.values_list("seq", flat=True)) == [0]
    due()
    run()
    job.refresh_from_db()
    assert list(Charge.objects.order_by("seq").values_list("seq", flat=True)) == [0, 1]
    assert (job.done, job.repaired, job.cost_usd, Item.objects.get(job=job).cost_usd) == (1, 1, 2 * CHEAP, 2 * CHEAP)
    assert texts(job) == [GOOD]
    assert simulator.calls()["total"] == 3


def test_a_rerun_of_what_broke_its_contract_is_charged_anew(tiny: Model, simulator: Simulator) -> None:
    let_tiny(simulator, say(WRONG))
    job = make_policy_job(tiny, CONTRACT, ["a"], body={"response_format": FORMAT})
    run()
    let_tiny(simulator, say(GOOD))
    rerun_failed(workspace_id=job.workspace_id, public_id=job.public_id, now=timezone.now())
    run()
    job.refresh_from_db()
    assert (job.done, job.dead, job.cost_usd) == (1, 0, 3 * CHEAP)
    assert list(Charge.objects.order_by("seq").values_list("seq", flat=True)) == [0, 1, 2]


# --- first model ----------------------------------------------------------------------------------------------------

FIRST = AnswerPolicy(first_model="tiny", accept_if="schema, confidence>=0.8")
SURE, UNSURE = '{"n":1,"confidence":0.9}', '{"n":1,"confidence":0.5}'


def test_what_the_first_model_does_well_costs_its_price(small: Model, tiny: Model, simulator: Simulator) -> None:
    let_tiny(simulator, say(SURE))
    job = make_policy_job(small, FIRST, ["a", "b"], first=tiny, body={"response_format": FORMAT})
    run()
    job.refresh_from_db()
    assert (job.done, job.first_asked, job.first_accepted) == (2, 2, 2)
    assert (job.cost_usd, job.first_saved_usd) == (2 * CHEAP, 2 * (DEAR - CHEAP))
    assert saved(job) == (2, 0, 2 * (DEAR - CHEAP))
    assert set(Charge.objects.values_list("model_id", flat=True)) == {tiny.id}
    assert set(Item.objects.values_list("answered_by", flat=True)) == {"first_model"}


def test_what_it_does_badly_goes_to_the_model_itself_and_both_are_charged(small: Model, tiny: Model, simulator: Simulator) -> None:
    let_tiny(simulator, say(UNSURE))
    job = make_policy_job(small, FIRST, ["a"], first=tiny, body={"response_format": FORMAT})
    run()
    job.refresh_from_db()
    item = Item.objects.get(job=job)
    assert (job.done, job.first_asked, job.first_accepted, job.cost_usd, job.first_saved_usd) == (1, 1, 0, CHEAP + DEAR, -CHEAP)
    assert saved(job) == (1, 0, -CHEAP)
    assert (item.answered_by, item.model_id, item.paid_calls) == ("model", small.id, 2)
    assert list(Charge.objects.order_by("seq").values_list("model_id", "cost_usd")) == [(tiny.id, CHEAP), (small.id, DEAR)]
    exchanges = Exchange.objects.order_by("id")
    assert [exchange.upstream_model for exchange in exchanges] == ["tiny-upstream", "small-upstream"]
    assert exchanges[0].error == "Not accepted: its confidence is 0.5, below 0.8."


@pytest.mark.parametrize("script", ["refuse", "status=400", "status=500"])
def test_refusals_and_failures_of_the_first_model_go_on_as_well(small: Model, tiny: Model, simulator: Simulator, script: str) -> None:
    let_tiny(simulator, script)
    job = make_policy_job(small, AnswerPolicy(first_model="tiny"), ["a"], first=tiny)
    run()
    job.refresh_from_db()
    assert (job.done, job.first_asked, job.first_accepted) == (1, 1, 0)
    assert job.cost_usd == (DEAR + CHEAP if script == "refuse" else DEAR)


def test_for_the_limit_of_the_first_model_items_wait(small: Model, tiny: Model, simulator: Simulator) -> None:
    let_tiny(simulator, "status=429 retry_after=2")
    job = make_policy_job(small, AnswerPolicy(first_model="tiny"), ["a"], first=tiny)
    run()
    item = Item.objects.get(job=job)
    assert (item.state, item.outcome, item.stage, item.model_id) == (ItemState.WAITING, "throttled", 0, tiny.id)
    assert Charge.objects.count() == 0


def test_what_was_not_accepted_is_not_asked_again_when_the_model_fails(small: Model, tiny: Model, simulator: Simulator) -> None:
    let_tiny(simulator, "refuse")
    Provider.objects.filter(targets__model=small).update(base_url="http://127.0.0.1:9/v1")
    job = make_policy_job(small, AnswerPolicy(first_model="tiny"), ["a"], first=tiny)
    run()
    item = Item.objects.get(job=job)
    assert (item.state, item.outcome, item.stage, item.model_id, item.paid_calls) == (ItemState.WAITING, "not_sent", 1, small.id, 1)
    Provider.objects.filter(targets__model=small).update(base_url=simulator.base_url)
    due()
    run()
    job.refresh_from_db()
    assert (job.done, job.first_asked, job.cost_usd, job.first_saved_usd) == (1, 1, CHEAP + DEAR, -CHEAP)
    assert list(Charge.objects.order_by("seq").values_list("seq", "model_id")) == [(0, tiny.id), (1, small.id)]
    assert simulator.calls()["total"] == 2


def test_without_the_first_model_the_model_itself_is_asked(small: Model, tiny: Model, simulator: Simulator) -> None:
    job = make_policy_job(small, AnswerPolicy(first_model="tiny"), ["a"], first=tiny)
    Model.objects.filter(id=tiny.id).update(is_enabled=False)
    run()
    job.refresh_from_db()
    assert (job.done, job.first_asked, job.cost_usd) == (1, 0, DEAR)


def test_an_accepted_answer_is_kept_for_the_same_policy_alone(small: Model, tiny: Model, simulator: Simulator) -> None:
    policy = AnswerPolicy(first_model="tiny", cache_seconds=60)
    make_policy_job(small, policy, ["a"], first=tiny)
    run()
    hit, other = make_policy_job(small, policy, ["a"], first=tiny), make_policy_job(small, CACHED, ["a"])
    run()
    hit.refresh_from_db()
    other.refresh_from_db()
    assert (hit.cache_hits, hit.cache_saved_usd, hit.first_asked) == (1, CHEAP, 0)
    assert (other.cache_hits, other.cost_usd) == (0, DEAR)


# --- failover -------------------------------------------------------------------------------------------------------


@pytest.fixture
def failing_first(small: Model, simulator: Simulator) -> Model:
    """`small` with a target before the good one that answers 500."""
    provider = Provider.objects.create(name="failing", base_url=simulator.base_url)
    save_provider_key(provider_id=provider.id, api_key="sk-tiny")
    let_tiny(simulator, "status=500")
    Target.objects.update(position=F("position") + 1)
    Target.objects.create(model=small, provider=provider, upstream_model="failing", position=0)
    return small


def test_with_failover_the_next_target_answers(failing_first: Model) -> None:
    job = make_policy_job(failing_first, AnswerPolicy(), ["a"])
    run()
    assert Item.objects.get(job=job).state == ItemState.DONE


def test_without_it_the_first_target_alone_is_asked(failing_first: Model) -> None:
    job = make_policy_job(failing_first, AnswerPolicy(has_failover=False), ["a"])
    run()
    assert Item.objects.get(job=job).state == ItemState.WAITING
    assert Exchange.objects.get().upstream_model == "failing"


def test_a_workspace_can_do_without(failing_first: Model) -> None:
    Workspace.objects.filter(id=make_workspace().id).update(has_failover=False)
    job = make_policy_job(failing_first, AnswerPolicy(), ["a"])
    other = make_policy_job(failing_first, AnswerPolicy(), ["a"], workspace=make_workspace("other"))
    run()
    assert Item.objects.get(job=job).state == ItemState.WAITING
    assert Item.objects.get(job=other).state == ItemState.DONE


# --- written once ---------------------------------------------------------------------------------------------------


def test_a_late_run_writes_neither_charges_nor_entries(small: Model, simulator: Simulator) -> None:
    """The run lost its item before it was settled: nothing of it stands, and the next run is charged from seq 0."""
    policy = AnswerPolicy(cache_seconds=60, has_contract=True)
    make_policy_job(small, policy, [f"[[sim {say(WRONG, GOOD)}]]"], body={"response_format": FORMAT})
    item = claim_items(pump_id=UUID(int=1), lanes=("default",), room=1, batch_room=0, turn=0)[0]
    Item.objects.update(state=ItemState.WAITING, run_id=None)
    run()
    wasted = Completion(outcome=Outcome.OK, answer=b"{}", course=Course(paid=(paid_call(small),) * 2, answered_by="repair"))
    settled = settle_group([Finished(item=item, completion=wasted, ended_at=timezone.now())], pump_id=UUID(int=1), prices=load_price_book())
    assert settled == []
    assert list(Charge.objects.order_by("seq").values_list("seq", "cost_usd")) == [(0, DEAR), (1, DEAR)]
    assert CacheEntry.objects.count() == 1
    assert Job.objects.get().cost_usd == 2 * DEAR


def test_what_was_rolled_back_is_written_once_by_the_next_try(small: Model, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    make_policy_job(small, AnswerPolicy(cache_seconds=60, has_contract=True), ["a"], body={"response_format": FORMAT})
    item = claim_items(pump_id=UUID(int=1), lanes=("default",), room=1, batch_room=0, turn=0)[0]
    course = Course(paid=(paid_call(small),) * 2, answered_by="repair")
    exchange = asked(small)
    completion = Completion(outcome=Outcome.OK, answer=exchange.answer, exchanges=(exchange,), status_code=200, course=course)
    group = [Finished(item=item, completion=completion, ended_at=timezone.now())]

    def break_off(name: str) -> None:
        raise RuntimeError(name)

    monkeypatch.setattr(settle, "failpoint", break_off)
    with pytest.raises(RuntimeError, match=r"settle\.before_commit"):
        settle_group(group, pump_id=UUID(int=1), prices=load_price_book())
    assert (Charge.objects.count(), CacheEntry.objects.count(), Item.objects.get().paid_calls) == (0, 0, 0)
    monkeypatch.undo()
    for _ in range(2):
        settle_group(group, pump_id=UUID(int=1), prices=load_price_book())
    assert list(Charge.objects.order_by("seq").values_list("seq", flat=True)) == [0, 1]
    assert (CacheEntry.objects.get().cost_usd, Item.objects.get().paid_calls, Job.objects.get().cost_usd) == (2 * DEAR, 2, 2 * DEAR)


def asked(model: Model) -> AskedExchange:
    target = Target.objects.get(model=model)
    return AskedExchange(
        target_id=target.id, provider_id=target.provider_id, upstream_model=target.upstream_model, path="/v1/chat/completions",
        outcome=Outcome.OK, sent_at=timezone.now(), duration_seconds=0.1, status_code=200, answer=b"{}",
    )  # fmt: skip


def paid_call(model: Model) -> PaidCall:
    target = Target.objects.get(model=model)
    return PaidCall(model.id, target.provider_id, target.upstream_model, timezone.now(), TokenUsage(input_tokens=20, output_tokens=30))
