"""Tools of the platform: whole pumps against the simulated provider, and what the rows say afterwards."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from apps.accounts.models import Workspace
from apps.conversations.models import MemoryEvent
from apps.conversations.queries.memory import read_memory
from apps.jobs.actions import run_items
from apps.jobs.actions.find_tools import find_tools
from apps.jobs.actions.requeue_dead import requeue_one
from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.domain.tool import PinScope
from apps.jobs.domain.tool_wish import MOST_STEPS, with_pin
from apps.jobs.models import Item, Job
from apps.knowledge.models import Pin
from apps.providers.domain.calls import Stage
from apps.providers.models import Model, Provider, Target
from apps.spend.models import Charge, Price
from apps.traces.actions import begin_effect, end_effect, store_bodies
from apps.traces.domain.bodies import make_body
from apps.traces.domain.records import EffectEnd, EffectRecord
from apps.traces.models import Effect, Exchange, Run
from apps.traces.queries import list_effects, read_bodies
from tests.factories.knowledge import make_collection, make_document
from tests.jobs import scribe
from tests.jobs.batches import CHAT, input_line, jsonl, validated
from tests.jobs.calls.callers import make_secret
from tests.jobs.rows import make_job, make_workspace
from tests.simulated import Simulator
from tests.spend.purses import counters as budget_counters
from tests.spend.purses import make_budget

pytestmark = pytest.mark.django_db(transaction=True)
# 20 tokens in and 30 out.
COST = Decimal("0.000220")


@pytest.fixture(autouse=True)
def book(settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    settings.JOBS_IDLE_SECONDS = 0.4
    settings.AIPLATFORM_TOOLS = ["tests.jobs.scribe"]
    monkeypatch.setenv(scribe.BOOK, str(tmp_path / "book"))
    (tmp_path / "book").touch()
    scribe.let_go.clear()
    yield tmp_path / "book"
    scribe.let_go.set()
    # What hung records its end before the next test's rows are made.
    for thread in threading.enumerate():
        if thread.name.startswith("tool"):
            thread.join()


@pytest.fixture(params=["openai", "anthropic"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def make_model(simulator: Simulator, kind: str = "openai") -> Model:
    provider = Provider.objects.create(name="simulated", kind=kind, base_url=simulator.base_url)
    model = Model.objects.create(name="small")
    Target.objects.create(model=model, provider=provider, upstream_model="small")
    Price.objects.create(
        provider_id=provider.id,
        upstream_model="small",
        effective_from=datetime(2026, 1, 1, tzinfo=UTC),
        input_usd_per_million=Decimal(5),
        output_usd_per_million=Decimal(4),
    )
    return model


def platform(*names: str, **options: Any) -> list[dict[str, Any]]:
    return [{"type": "platform", "platform": {"name": name} | options} for name in names]


def script(tool: str, *, text: str = "x", say: str = "Done.", **words: Any) -> str:
    told = {"tool": tool, "arguments": quote(json.dumps({"text": text})), "say": quote(say)} | words
    return f"[[sim {' '.join(f'{name}={value}' for name, value in told.items())}]]"


def make_tool_job(model: Model, prompt: str, tools: list[dict[str, Any]], *, workspace: Workspace | None = None, **values: Any) -> Job:
    job = make_job(prompts=[prompt], model_id=model.id, workspace=workspace)
    put_request(job, {"model": "small", "messages": [{"role": "user", "content": prompt}], "tools": tools} | values)
    return job


def put_request(job: Job, request: dict[str, Any]) -> None:
    stored = make_body(job.workspace_id, orjson.dumps(request))
    store_bodies([stored])
    Item.objects.filter(job=job).update(request_body_id=stored.id)


def run() -> None:
    run_items(lane="default", job_id=None, replaces=None, is_isolating=False, clock=lambda: datetime.now(UTC))


def answer_of(job: Job) -> dict[str, Any]:
    item = Item.objects.get(job=job)
    assert item.answer_body_id is not None, item.error_message
    body_id = bytes(item.answer_body_id)
    found: dict[str, Any] = json.loads(read_bodies([body_id])[body_id])
    return found


def said(job: Job) -> str | None:
    text: str | None = answer_of(job)["choices"][0]["message"]["content"]
    return text


def results(job: Job) -> list[Any]:
    return [json.loads(effect["result"]) for effect in list_effects(item_id=Item.objects.get(job=job).id)]


def test_tools_run_between_the_steps_and_each_step_is_charged_once(simulator: Simulator, kind: str, book: Path) -> None:
    prompt = script("look,write_line", rounds=2, beside="Wait.", say="It is done.")
    job = make_tool_job(make_model(simulator, kind), prompt, platform("look", "write_line"), user="ada")
    Item.objects.update(end_user="ada")
    run()
    item = Item.objects.get(job=job)
    assert (item.state, item.attempts, item.paid_calls, item.cost_usd) == (ItemState.DONE, 0, 3, 3 * COST)
    assert [charge.seq for charge in Charge.objects.order_by("seq")] == [0, 1, 2]
    assert list(Run.objects.order_by("id").values_list("outcome", "decision")) == [("ok", "go_on"), ("ok", "go_on"), ("ok", "done")]
    answer = answer_of(job)
    assert said(job) == "Wait.\n\nWait.\n\nIt is done."
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (60, 90)
    assert "tool_calls" not in answer["choices"][0]["message"]
    effects = list_effects(item_id=item.id)
    assert [(one["seq"], one["place"], one["tool"], one["side_effect"], one["outcome"]) for one in effects] == [
        (seq, place, *told) for seq in (0, 1) for place, told in enumerate([("look", "read", "ok"), ("write_line", "write", "ok")])
    ]
    assert [one["result"] for one in effects[:2]] == ['{"seen":"x","for":"ada"}', "Written: x"]
    assert len(set(book.read_text().splitlines())) == 4
    job.refresh_from_db()
    assert (job.done, job.cost_usd, job.output_tokens) == (1, 3 * COST, 90)


def test_what_went_to_the_provider_are_functions_and_results(simulator: Simulator) -> None:
    own = {"type": "function", "function": {"name": "mine", "parameters": {"type": "object"}}}
    job = make_tool_job(make_model(simulator), script("look"), [*platform("look", **{"as": "peek"}), own], tool_choice="required")
    run()
    # The model called a name that it was not offered: that is told, too.
    assert results(job) == [{"error": "There is no tool 'look'."}]
    assert Exchange.objects.count() == 2


@pytest.mark.parametrize(
    ("tool", "text", "outcome", "error"),
    [
        ("break_down", "x", "failed", "The tool failed: ValueError."),
        ("add_dot", "fail", "failed", "There is no room for a dot."),
        ("hang", "x", "timeout", "The tool did not answer within 0.2 seconds. It is not known whether this call took effect"),
        ("nothing", "x", "refused", "There is no tool 'nothing'."),
    ],
)
def test_a_tool_that_fails_is_an_answer_to_the_model(simulator: Simulator, tool: str, text: str, outcome: str, error: str) -> None:
    job = make_tool_job(make_model(simulator), script(tool, text=text), platform("break_down", "add_dot", "hang"))
    run()
    effect = Effect.objects.get()
    assert (effect.outcome, effect.ended_at is not None, said(job)) == (outcome, True, "Done.")
    assert results(job)[0]["error"].startswith(error)
    assert make_workspace().name == "acme"


def test_whatever_a_tool_raises_is_told_to_the_model(simulator: Simulator) -> None:
    model, asked = make_model(simulator), [*(("give_way", text) for text in scribe.RAISED), ("give_way_within", "exit")]
    jobs = [(text, make_tool_job(model, script(tool, text=text), platform(tool))) for tool, text in asked]
    run()
    for text, job in jobs:
        assert results(job) == [{"error": f"The tool failed: {scribe.RAISED[text].__name__}."}]
        assert said(job) == "Done."
    assert (set(Effect.objects.values_list("outcome", flat=True)), Run.objects.count()) == ({"failed"}, 2 * len(jobs))


def test_an_outage_of_the_platform_is_told_to_nobody(simulator: Simulator) -> None:
    model, asked = make_model(simulator), [("give_way_within", "database"), ("stumble", "x"), ("cut_cord", "x")]
    for tool, text in asked:
        make_tool_job(model, script(tool, text=text), platform(tool))
    run()
    for item in Item.objects.all():
        assert (item.state, item.outcome, item.error_code, item.paid_calls) == (ItemState.WAITING, "not_sent", "tools_not_run", 1)
    assert set(Effect.objects.values_list("tool", "ended_at")) == {(tool, None) for tool, _ in asked}


def test_arguments_that_do_not_fit_and_results_that_are_too_long_are_told(simulator: Simulator) -> None:
    model = make_model(simulator)
    wrong = make_tool_job(model, script("look", arguments="%7B%7D"), platform("look"))
    long = make_tool_job(model, script("say_much"), platform("say_much"))
    run()
    assert "text" in results(wrong)[0]["error"]
    told = list_effects(item_id=Item.objects.get(job=long).id)[0]["result"]
    assert told.endswith("ä\n[Cut here: it has 40,000 bytes, of which 16,384 are shown.]")


def test_a_model_that_never_ends_is_asked_a_last_time_without_tools(simulator: Simulator) -> None:
    job = make_tool_job(make_model(simulator), script("look", rounds=50), platform("look"))
    run()
    assert (said(job), Effect.objects.count(), Charge.objects.count()) == ("Done.", MOST_STEPS, MOST_STEPS + 1)


def test_functions_of_the_caller_go_to_the_caller(simulator: Simulator, book: Path) -> None:
    own = [{"type": "function", "function": {"name": "mine", "parameters": {"type": "object"}}}]
    model = make_model(simulator)
    alone = make_tool_job(model, script("mine"), [*platform("look"), *own])
    mixed = make_tool_job(model, script("look,mine"), [*platform("look"), *own])
    plain = make_tool_job(model, script("mine"), own)
    run()
    for job in (alone, plain):
        choice = answer_of(job)["choices"][0]
        assert (choice["finish_reason"], choice["message"]["tool_calls"][0]["function"]["name"]) == ("tool_calls", "mine")
    assert (said(mixed), len(book.read_text().splitlines())) == ("Done.", 1)
    assert Item.objects.get(job=plain).answer_body_id == Exchange.objects.get(run_id=Item.objects.get(job=plain).run_id).answer_body_id


def record_of(item: Item, tool: str, side_effect: str) -> EffectRecord:
    return EffectRecord(item.workspace_id, item.id, item.id, 0, 0, tool, side_effect, b"{}")


@pytest.mark.parametrize(
    ("tool", "side_effect", "outcome"), [("write_line", "write", "unknown"), ("look", "read", "ok"), ("add_dot", "write", "ok")]
)
def test_what_was_cut_short_is_run_again_unless_it_may_have_written(
    simulator: Simulator, book: Path, tool: str, side_effect: str, outcome: str
) -> None:
    job = make_tool_job(make_model(simulator), script(tool), platform(tool))
    begin_effect(record_of(Item.objects.get(job=job), tool, side_effect))
    run()
    assert (Effect.objects.get().outcome, said(job)) == (outcome, "Done.")
    assert len(book.read_text().splitlines()) == (tool == "look")
    assert Item.objects.get(job=job).workspace.name == ("acme." if tool == "add_dot" else "acme")


def test_what_has_an_end_is_not_run_again(simulator: Simulator, book: Path) -> None:
    job = make_tool_job(make_model(simulator), script("write_line"), platform("write_line"))
    record = record_of(Item.objects.get(job=job), "write_line", "write")
    begin_effect(record)
    assert end_effect(record, EffectEnd("ok", b'"written before"'))
    assert not end_effect(record, EffectEnd("failed", b""))
    run()
    assert (results(job), said(job), book.read_text()) == (["written before"], "Done.", "")


def test_steps_that_have_expired_are_asked_anew(simulator: Simulator, book: Path) -> None:
    job = make_tool_job(make_model(simulator), script("look"), platform("look"))
    Item.objects.update(stage=Stage.TOOLS, paid_calls=1, answer_body_id=b"gone")
    run()
    assert (said(job), Item.objects.get(job=job).paid_calls, len(book.read_text().splitlines())) == ("Done.", 3, 1)


def test_what_died_between_two_tools_goes_on_from_there_when_it_is_requeued(simulator: Simulator, settings: Any, book: Path) -> None:
    settings.JOBS_MAX_ATTEMPTS = 1
    job = make_tool_job(make_model(simulator), script("write_line,stumble", beside="Wait."), platform("write_line", "stumble"))
    Item.objects.update(free_tries=20)
    run()
    item = Item.objects.get(job=job)
    assert (item.state, item.error_code, item.paid_calls, item.answer_body_id) == (ItemState.DEAD, "tools_not_run", 1, None)
    scribe.let_go.set()
    assert requeue_one(item_id=item.public_id, now=datetime.now(UTC)) == 1
    run()
    assert (said(job), [one["result"] for one in list_effects(item_id=item.id)]) == ("Wait.\n\nDone.", ["Written: x", "It goes on."])
    assert (Charge.objects.count(), len(book.read_text().splitlines())) == (2, 1)
    assert Item.objects.get(job=job).draft_body_id is None


def test_a_budget_bounds_the_steps_together(simulator: Simulator) -> None:
    job = make_tool_job(make_model(simulator), script("look", rounds=50), platform("look"), max_tokens=100)
    Job.objects.update(on_budget="fail")
    budget = make_budget(cap="0.05")
    run()
    item, counted = Item.objects.get(job=job), budget_counters(budget)
    # What the results may cost at most is set aside as well: the second step could pass the cap.
    assert (item.state, item.error_code, item.cost_usd) == (ItemState.DEAD, "budget_exhausted", COST)
    assert COST in counted
    assert Exchange.objects.count() == 1


def test_a_collection_is_searched_and_the_snapshot_recorded(simulator: Simulator) -> None:
    collection = make_collection(make_workspace(), name="rules")
    make_document("Travel is paid by train.\n\nMeals are paid up to twelve euros.", collection=collection)
    other = make_collection(make_workspace("other"), name="secrets")
    make_document("Meals of the board are paid without limit.", collection=other)
    arguments = quote('{"query": "How much are meals?"}')
    prompt = script("search_knowledge", arguments=arguments, rounds=2)
    job = make_tool_job(make_model(simulator), prompt, platform("search_knowledge", collection="rules", top_k=1))
    request = json.loads(read_bodies([bytes(Item.objects.get(job=job).request_body_id)]).popitem()[1])
    put_request(job, with_pin(request, PinScope("conversation-1", 7, "7.0c1d2e3f4a5b6c7d.3")))
    run()
    first, second = list_effects(item_id=Item.objects.get(job=job).id)
    assert json.loads(first["result"])["results"][0]["number"] == 1
    assert "twelve euros" in first["result"]
    assert "board" not in first["result"]
    pin = Pin.objects.get()
    assert (pin.scope, pin.state_version, pin.snapshot_id) == ("conversation-1", 7, first["snapshot_id"])
    assert second["snapshot_id"] == first["snapshot_id"] != ""
    assert (first["state"], second["state"]) == ("7.0c1d2e3f4a5b6c7d.3",) * 2


def test_a_model_has_something_remembered_and_forgotten_of_who_speaks_each_once(simulator: Simulator) -> None:
    model, workspace = make_model(simulator), make_workspace()
    arguments = quote('{"key": "town", "text": "London"}')
    for tool in ("remember", "forget", "forget"):
        arguments = arguments if tool == "remember" else quote('{"key": "town"}')
        job = make_tool_job(model, script(tool, arguments=arguments), platform(tool), workspace=workspace)
        Item.objects.filter(job=job).update(end_user="ada")
        run()
    told = [effect["result"] for item in Item.objects.order_by("id") for effect in list_effects(item_id=item.id)]
    assert [json.loads(result) for result in told] == [
        {"remembered": "town"},
        {"forgotten": "town"},
        {"error": "Nothing is remembered under 'town'."},
    ]
    events = [(event.kind, event.key, event.text, event.source, event.item_id) for event in MemoryEvent.objects.order_by("seq")]
    first, second, _ = Item.objects.order_by("id").values_list("id", flat=True)
    assert events == [("set", "town", "London", "tool", first), ("forget", "town", "", "tool", second)]
    assert read_memory(workspace_id=workspace.id, end_user="ada") == (2, [])


def test_nothing_is_remembered_of_nobody(simulator: Simulator) -> None:
    arguments = quote('{"key": "town", "text": "London"}')
    job = make_tool_job(make_model(simulator), script("remember", arguments=arguments), platform("remember"))
    run()
    assert "names no end user" in results(job)[0]["error"]
    assert not MemoryEvent.objects.exists()


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"tools": platform("nothing")}, "tools.0.platform.name"),
    ({"tools": [{"type": "platform"}]}, "tools.0.platform"),
    ({"tools": platform("look", colour="red")}, "tools.0.platform.colour"),
    ({"tools": platform("look", **{"as": "a b"})}, "tools.0.platform.as"),
    ({"tools": platform("look", "look")}, "tools.1.platform"),
    ({"tools": [*platform("look"), {"type": "function", "function": {"name": "look"}}]}, "tools.0.platform.name"),
    ({"tools": platform("search_knowledge")}, "tools.0.platform.collection"),
    ({"tools": platform("search_knowledge", collection="secrets")}, "tools.0.platform.collection"),
    ({"tools": platform("search_knowledge", collection="rules", top_k=0)}, "tools.0.platform.top_k"),
    ({"tools": platform("search_knowledge", collection="rules", pin={"scope": "x", "state_version": 1})}, "tools.0.platform.pin"),
    ({"tools": platform("look"), "n": 2}, "n"),
]


def test_lines_and_calls_that_ask_for_tools_wrongly_are_refused_at_the_place(client: Client) -> None:
    make_collection(make_workspace("acme"), name="rules")
    make_collection(make_workspace("other"), name="secrets")
    ask = {"model": "small", "messages": [{"role": "user", "content": "hi"}]}
    good = [ask | {"tools": platform("look")}, ask | {"tools": platform("search_knowledge", collection="rules", top_k=3)}]
    job = validated(jsonl(input_line(f"l{n}", body=ask | wrong) for n, (wrong, _) in enumerate(WRONG)))
    assert [(error["param"], error["code"]) for error in job.errors or ()] == [(f"body.{place}", "invalid_value") for _, place in WRONG]
    assert validated(jsonl(input_line(f"l{n}", body=body) for n, body in enumerate(good))).status == "running"
    cached = validated(jsonl([input_line("one", body=good[0])]), metadata={"cache": "on"})
    assert (cached.status, (cached.errors or [{}])[0]["param"]) == ("failed", "body.tools")
    headers = {"authorization": f"Bearer {make_secret()}"}
    for wrong, place in WRONG:
        refused = client.post(CHAT, ask | wrong, content_type="application/json", headers=headers)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, place)
    escaped = json.dumps(good[0]).replace('"platform"', '"p\\u006catform"')
    assert client.post(CHAT, escaped, content_type="application/json", headers=headers).json()["error"]["param"] == "tools"


def test_tools_of_a_module_that_can_not_be_had_are_said(settings: Any) -> None:
    for wrong in ("tests.jobs.nowhere", "tests.jobs.rows", "tests.jobs.scribe,tests.jobs.scribe"):
        settings.AIPLATFORM_TOOLS = wrong.split(",")
        with pytest.raises(ImproperlyConfigured, match="AIPLATFORM_TOOLS"):
            find_tools()
