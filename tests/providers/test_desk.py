"""How providers stand, for operators: the page, the switch, what is left out of the claim, and what is written down."""

from datetime import timedelta
from typing import Any

import pytest
import redis
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import AuditEntry
from apps.jobs.actions.call_threads import in_thread
from apps.jobs.actions.claim import claim_items
from apps.jobs.domain.fairness import ModelBounds
from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.models import Item
from apps.lib.http_errors import ApiError
from apps.lib.ids import uuid7
from apps.lib.redis_client import redis_client
from apps.providers.actions import forget_transitions, pause, record_transitions, resume
from apps.providers.domain.bucket_state import BucketState, read_bucket
from apps.providers.domain.outcomes import Outcome
from apps.providers.domain.transitions import Transition
from apps.providers.models import Provider, TransitionRecord
from apps.providers.queries import find_callable, load_catalogue, read_standings
from apps.traces.domain.slots import LAST_DAY, LAST_HOUR, SINCE_KEY, field_name
from tests.factories.accounts import make_office_client
from tests.factories.jobs import make_item
from tests.factories.jobs import make_job as make_ended_job
from tests.factories.jobs import make_route as make_other_route
from tests.factories.providers import make_gate, make_model, make_provider, make_route
from tests.jobs.rows import make_job

pytestmark = pytest.mark.django_db

NOW = timezone.now()


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    for pattern in ("aiplatform:usage*", "aiplatform:outcomes*"):
        for key in redis_client().scan_iter(pattern):
            redis_client().delete(key)


def test_a_paused_target_is_left_out_and_another_takes_over() -> None:
    first, second = make_provider("first"), make_provider("second")
    model = make_model("small", first, second)
    assert pause(target_id=model.targets.get(provider=first).id, now=NOW, reason="bad answers")
    assert [route.provider_name for route in load_catalogue().routes(model.id)] == ["second"]
    assert resume(target_id=model.targets.get(provider=first).id, now=NOW)
    assert [route.provider_name for route in load_catalogue().routes(model.id)] == ["first", "second"]
    assert [(entry.verb, entry.object_type) for entry in AuditEntry.objects.order_by("id")] == [("paused", "target"), ("resumed", "target")]
    assert list(TransitionRecord.objects.order_by("id").values_list("what", "note")) == [("paused", "bad answers"), ("resumed", "")]


def test_pausing_twice_is_one_pause_and_needs_a_reason() -> None:
    provider = make_provider()
    with pytest.raises(ApiError):
        pause(provider_id=provider.id, now=NOW, reason="  ")
    assert [pause(provider_id=provider.id, now=NOW, reason="x") for _ in range(2)] == [True, False]
    with pytest.raises(ApiError):
        pause(provider_id=uuid7(), now=NOW, reason="x")


@pytest.mark.django_db(transaction=True)
async def test_items_of_a_paused_model_stay_unclaimed_and_unchanged() -> None:
    def prepare() -> Any:
        provider, other = make_provider("paused"), make_provider("running")
        paused, running = make_model("paused", provider), make_model("running", other)
        make_job(prompts=["a", "b"], model_id=paused.id)
        make_job(prompts=["c"], model_id=running.id)
        pause(provider_id=provider.id, now=NOW, reason="maintenance")
        return load_catalogue(), running.id

    catalogue, running_id = await in_thread(prepare)
    async with make_gate() as gate:
        allowances = gate.allowances(catalogue)
    assert set(allowances.values()) == {0}

    def claim() -> Any:
        bounds = ModelBounds.of(allowances, names={key: name for name, key in catalogue.ids.items()})
        claimed = claim_items(pump_id=uuid7(), lanes=["default"], room=9, batch_room=9, turn=0, bounds=bounds)
        return {item.model_id for item in claimed}, set(Item.objects.exclude(model_id=running_id).values_list("state", "attempts"))

    assert await in_thread(claim) == ({running_id}, {("waiting", 0)})


def test_callers_know_a_paused_model_and_are_told_that_it_is_paused() -> None:
    provider = make_provider()
    make_model("small", provider)
    pause(provider_id=provider.id, now=NOW, reason="x")
    found = find_callable("small")
    assert (found is not None and found.is_paused, load_catalogue().model_names()) == (True, ["small"])


def test_the_page_shows_what_redis_and_postgres_know() -> None:
    job = make_ended_job(done=3, dead=1)
    provider = Provider.objects.get()
    target = provider.targets.get()
    redis_client().hset(
        f"limits:{{target:{target.id.hex}}}",
        mapping={
            "breaker": "open",
            "open_until": str((NOW.timestamp() + 90_000) * 1000),
            "pump:a": "7,9999999999999",
            "budget": "412",
        },
    )
    redis_client().hset(f"limits:{{provider:{provider.id.hex}}}", mapping={"told_requests": "60", "requests": "4.7", "limit": "20"})
    record_transitions([Transition(None, target.id, "open", NOW, 10.0)])
    page = make_office_client().get(reverse("admin:providers_provider_desk"))
    text = " ".join(page.content.decode().split())
    assert page.status_code == 200
    for told in ("open, for", "<td>7</td> <td>-</td><td>412</td>", "60/min told", "breaker opened", f"{job.items.count() - 2:,}"):
        assert told in text, told
    assert "takes no calls: see its target" in text
    # Good answers took 1.204 s, until their first byte 0.412 s; three of them were charged.
    for told in ("1.20 / 1.20 / 1.20 s", "0.41 / 0.41 / 0.41 s", "3 answers", "1,200 / 300 tokens", "$0.0004"):
        assert told in text, told


def test_the_page_shows_what_came_of_the_last_hour_and_day() -> None:
    target = make_model("small", make_provider()).targets.get()
    now, outcomes = timezone.now(), {"ok": 1200, "throttled": 7}
    for slots, times in ((LAST_HOUR, 1), (LAST_DAY, 10)):
        redis_client().hset(
            slots.key(now.timestamp()), mapping={field_name(target.id, outcome): times * number for outcome, number in outcomes.items()}
        )
    redis_client().set(SINCE_KEY, (now - timedelta(hours=3)).isoformat())
    text = " ".join(make_office_client().get(reverse("admin:providers_provider_desk")).content.decode().split())
    for told in ("ok 1,200", "throttled 7", "ok 12,000", "throttled 70", "Outcomes have been counted since"):
        assert told in text, told


def test_what_targets_were_used_for_is_told_apart() -> None:
    make_ended_job(done=3, dead=0)
    other = make_other_route("large", upstream_model="gpt-x")
    make_item(make_ended_job(done=0, dead=0), route=other, state=ItemState.DONE, position=1)
    provider = read_standings(now=timezone.now()).providers[0]
    assert {one.row.model.name: one.usage.calls for one in provider.targets} == {"small": 3, "large": 1}
    assert (provider.usage.calls, provider.usage.output_tokens) == (4, 400)


def test_the_page_shows_what_is_left_of_each_limit() -> None:
    provider = make_provider(input_tokens_per_minute=40_000)
    model = make_model("small", provider)
    target = model.targets.get()
    model.targets.update(requests_per_minute=600)
    redis_client().hset(f"limits:{{provider:{provider.id.hex}}}", mapping={"input_tokens": "650.5", "output_tokens": "31", "tokens": "9"})
    redis_client().hset(
        f"limits:{{target:{target.id.hex}}}", mapping={"requests": "8.2", "told_output_tokens": "8000", "output_tokens": "77"}
    )
    page = make_office_client().get(reverse("admin:providers_provider_desk"))
    text = " ".join(page.content.decode().split())
    for told in (
        "<span>Input tokens left now</span><strong>650</strong><span>40,000/min set</span>",
        # A field of a limit that is no more says nothing.
        "<span>Tokens left now</span><strong>no limit</strong>",
        '<span class="whole">8 requests</span>, <span class="whole">77 output tokens</span>',
    ):
        assert told in text, told
    assert "Output tokens left now" not in text


def test_the_switch_asks_first_and_is_audited() -> None:
    provider, office = make_provider(), make_office_client()
    page = reverse("admin:providers_provider_switch", args=[provider.pk])
    assert "Calls in the air finish" in office.get(page).content.decode()
    office.post(page, {"reason": ""})
    provider.refresh_from_db()
    assert provider.paused_at is None
    office.post(page, {"reason": "maintenance"})
    provider.refresh_from_db()
    assert (provider.paused_at is not None, provider.paused_reason) == (True, "maintenance")
    assert "paused: maintenance" in office.get(reverse("admin:providers_provider_desk")).content.decode()
    office.post(page)
    provider.refresh_from_db()
    assert provider.paused_at is None


def test_without_calls_or_providers_the_page_says_what_to_do() -> None:
    office = make_office_client()
    assert "There is no provider yet" in office.get(reverse("admin:providers_provider_desk")).content.decode()
    make_provider()
    text = office.get(reverse("admin:providers_provider_desk")).content.decode()
    assert "No model is answered by it" in text
    assert "Nothing yet" in text


def test_without_redis_the_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    make_model("small", make_provider())
    monkeypatch.setattr("apps.providers.queries.look", _cut_off)
    standings = read_standings(now=NOW)
    assert (standings.is_told, standings.providers[0].bucket) == (False, BucketState())
    assert "Redis does not answer" in make_office_client().get(reverse("admin:providers_provider_desk")).content.decode()


def _cut_off(_keys: object) -> Any:
    raise redis.ConnectionError("gone")


def test_transitions_are_kept_for_a_month() -> None:
    provider = make_provider()
    record_transitions([Transition(provider.id, None, "blocked", NOW - timedelta(days=days)) for days in (1, 29, 31)])
    record_transitions([Transition(None, uuid7(), "open", NOW)])
    record_transitions([Transition(uuid7(), None, "blocked", NOW)])
    assert TransitionRecord.objects.count() == 3
    assert forget_transitions(now=NOW) == 1


@pytest.mark.parametrize(("found", "told"), [(None, 50), ("0", 50), ("20", 20), ("80", 50)])
def test_a_set_limit_of_calls_in_the_air_is_told_until_less_was_found_right(found: str | None, told: int) -> None:
    provider = make_provider(max_concurrency=50)
    redis_client().hset(
        f"limits:{{provider:{provider.id.hex}}}", mapping={"pump:a": "3,9999999999999"} | ({"limit": found} if found else {})
    )
    (standing,) = read_standings(now=timezone.now()).providers
    assert (standing.bucket.in_flight, standing.bucket.concurrency_limit) == (3, told)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ({}, {"is_known": False, "breaker": "closed"}),
        ({"slow_from": "90000", "breaker": "closed"}, {"breaker": "slow start", "slow_percent": 55}),
        ({"slow_from": "1000", "breaker": "closed"}, {"breaker": "closed", "slow_percent": None}),
        ({"blocked": "102500", "paused": "99000"}, {"blocked_seconds": 2.5, "paused_seconds": None}),
        ({"pump:a": "3,100001", "pump:b": "4,99999", "pump:c": "5,200000"}, {"in_flight": 8, "pumps": 2}),
        (
            {"input_tokens": "5.5", "output_tokens": "-1", "told_input_tokens": "40000"},
            {"input_tokens_left": 5, "output_tokens_left": 0, "told_input_tokens": 40000, "told_output_tokens": None},
        ),
        ({"requests": "-3.5", "tokens": "17.9", "limit": "0"}, {"requests_left": 0, "tokens_left": 17, "concurrency_limit": None}),
        ({"budget": "0"}, {"retry_budget": 0}),
        # Whatever somebody else may have written there says nothing.
        ({"breaker": "open", "open_until": "x", "blocked": "nan", "paused": "inf"}, {"breaker": "open", "opens_in_seconds": None}),
        ({"breaker": "?", "slow_from": "\ufffd", "requests": "1e999", "limit": "-x"}, {"breaker": "closed", "requests_left": None}),
        ({"pump:a": "x", "pump:b": "3", "pump:c": "1,2,3", "pump:d": "-4,200000", "pump:e": "2,200000"}, {"in_flight": 2, "pumps": 1}),
    ],
)
def test_read_bucket(state: dict[str, str], told: dict[str, Any]) -> None:
    found = read_bucket(state, now_ms=100_000)
    assert {name: getattr(found, name) for name in told} == told


@pytest.mark.django_db(transaction=True)
async def test_what_happens_in_redis_is_told_to_the_pump_that_brought_it_about() -> None:
    route = make_route()
    async with make_gate() as gate:
        target, _ = gate._of(route)
        for _ in range(10):
            target.note(Outcome.FAILED_UPSTREAM, epoch=0)
        await gate._sync([target])
        assert [(one.what, one.target_id) for one in gate.happened] == [("open", route.target_id)]
        await gate._sync([target])
        assert len(gate.happened) == 1


def test_a_provider_whose_targets_get_no_calls_does_not_seem_to_take_any() -> None:
    provider = make_provider()
    targets = [make_model(name, provider).targets.get() for name in ("large", "small")]
    office, desk = make_office_client(), reverse("admin:providers_provider_desk")
    pause(target_id=targets[0].id, now=NOW, reason="x")
    assert "1 of 2 targets take no calls" in office.get(desk).content.decode()
    redis_client().hset(f"limits:{{target:{targets[1].id.hex}}}", mapping={"breaker": "open", "open_until": "9999999999999"})
    assert "takes no calls: see its targets" in office.get(desk).content.decode()
