"""`/api/providers` and `/api/targets`: how they stand, and their switch, for keys that may touch what all workspaces share."""

import json
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.domain.keys import WORKSPACE_SCOPES, Scope
from apps.accounts.models import ActorKind, AuditEntry
from apps.lib.redis_client import redis_client
from apps.providers.actions import save_provider_key
from apps.providers.models import Provider, Target, TransitionRecord
from apps.spend.models import Charge
from apps.traces.domain.slots import LAST_DAY, LAST_HOUR, SINCE_KEY, field_name
from tests.factories.accounts import make_client
from tests.factories.jobs import make_job
from tests.factories.providers import make_model, make_provider

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    for pattern in ("aiplatform:usage*", "aiplatform:outcomes*"):
        for key in redis_client().scan_iter(pattern):
            redis_client().delete(key)


def operator() -> Client:
    return make_client("ops", Scope.PLATFORM)


def post(client: Client, path: str, body: object = None, **headers: str) -> Any:
    return client.post(path, json.dumps(body), content_type="application/json", headers=headers)


def test_a_provider_is_told_as_it_stands() -> None:
    make_job(done=3, dead=1)
    provider, target = Provider.objects.get(), Target.objects.get()
    redis_client().hset(
        f"limits:{{target:{target.id.hex}}}",
        mapping={"breaker": "open", "open_until": "9999999999999", "pump:a": "7,9999999999999", "budget": "412"},
    )
    redis_client().hset(f"limits:{{provider:{provider.id.hex}}}", mapping={"told_requests": "60", "requests": "4.7", "limit": "20"})
    now = timezone.now().timestamp()
    redis_client().set(SINCE_KEY, "2020-01-01T00:00:00+00:00")
    redis_client().hset(LAST_HOUR.key(now), field_name(target.id, "throttled"), 5)
    redis_client().hset(LAST_DAY.key(now), field_name(target.id, "throttled"), 50)
    (told,) = operator().get("/api/providers").json()["data"]
    assert set(told) == set(operator().get(f"/api/providers/{provider.public_id}").json())
    assert (told["id"], told["name"], told["paused_at"]) == (provider.public_id, "primary", None)
    assert (told["bucket"]["told_requests_per_minute"], told["bucket"]["requests_left"], told["bucket"]["concurrency_limit"]) == (60, 4, 20)
    assert told["usage_today"] == {"answers": 3, "input_tokens": 1200, "output_tokens": 300, "cost_usd": "0.000375000000"}
    (of_target,) = told["targets"]
    assert set(of_target) == set(operator().get(f"/api/targets/{target.public_id}").json())
    assert (of_target["model"], of_target["bucket"]["breaker"], of_target["bucket"]["in_flight"]) == ("small", "open", 7)
    assert of_target["outcomes"]["last_5_minutes"] == {"ok": 3, "rejected": 1, "throttled": 1}
    assert (of_target["outcomes"]["last_hour"], of_target["outcomes"]["last_24_hours"]) == ({"throttled": 5}, {"throttled": 50})
    assert (of_target["latency_seconds"]["p95"], of_target["first_byte_seconds"]["p50"]) == (1.204, 0.412)


def test_the_money_of_a_day_may_be_any_sum() -> None:
    make_job(done=3)
    Charge.objects.update(cost_usd=Decimal("99999999.999999999999"))
    (told,) = operator().get("/api/providers").json()["data"]
    assert told["usage_today"]["cost_usd"] == told["targets"][0]["usage_today"]["cost_usd"] == "299999999.999999999997"


def test_no_key_of_a_provider_is_ever_shown() -> None:
    """But for the end by which people tell which one it is; of one that doesn't open, or is short, not even that."""
    make_provider("a", api_key_sealed="sealed-secret")
    for name, key in (("b", "sk-very-secret-0123456789"), ("c", "short"), ("d", "")):
        save_provider_key(provider_id=make_provider(name).id, api_key=key)
    answer = operator().get("/api/providers")
    assert [one["key_ends_in"] for one in answer.json()["data"]] == [None, "6789", None, None]
    seals = filter(None, Provider.objects.values_list("api_key_sealed", flat=True))
    assert [text for text in ("sealed", "56789", "hort", *seals) if text in answer.content.decode()] == []


def test_pages_go_by_name() -> None:
    for name in ("b", "c", "a"):
        make_provider(name)
    first = operator().get("/api/providers?limit=2").json()
    rest = operator().get(f"/api/providers?limit=2&cursor={first['next_cursor']}").json()
    assert [one["name"] for one in first["data"] + rest["data"]] == ["a", "b", "c"]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize("kind", ["provider", "target"])
def test_paused_and_resumed_like_on_the_page_and_written_down(kind: str) -> None:
    provider = make_provider()
    row: Any = provider if kind == "provider" else make_model("small", provider).targets.get()
    client, path = operator(), f"/api/{kind}s/{row.public_id}"
    paused = post(client, f"{path}/pause", {"reason": "maintenance"})
    assert (paused.status_code, paused.json()["paused_reason"]) == (200, "maintenance")
    assert paused.json()["paused_at"]
    again = post(client, f"{path}/pause", {"reason": "once more"})
    assert (again.status_code, again.json()["paused_reason"]) == (200, "maintenance")
    assert post(client, f"{path}/resume", {}).json()["paused_at"] is None
    entries = AuditEntry.objects.filter(object_id=str(row.id)).order_by("id")
    assert [(entry.verb, entry.object_type, entry.actor_kind, entry.workspace_id) for entry in entries] == [
        ("paused", kind, ActorKind.KEY, None),
        ("resumed", kind, ActorKind.KEY, None),
    ]
    assert list(TransitionRecord.objects.order_by("id").values_list("what", "note")) == [("paused", "maintenance"), ("resumed", "")]


def test_the_same_request_twice_counts_once() -> None:
    provider, client = make_provider(), operator()
    path = f"/api/providers/{provider.public_id}"
    first = post(client, f"{path}/pause", {"reason": "storm"}, **{"Idempotency-Key": "pause-1"})
    post(client, f"{path}/resume", {})
    replayed = post(client, f"{path}/pause", {"reason": "storm"}, **{"Idempotency-Key": "pause-1"})
    assert (replayed.json(), replayed.headers["Idempotency-Replayed"]) == (first.json(), "true")
    provider.refresh_from_db()
    assert provider.paused_at is None


@pytest.mark.parametrize(
    ("body", "param"), [({}, "reason"), ({"reason": ""}, "reason"), ({"reason": 7}, "reason"), ({"reason": "x" * 501}, "reason")]
)
def test_a_pause_needs_a_reason(body: object, param: str) -> None:
    provider = make_provider()
    answer = post(operator(), f"/api/providers/{provider.public_id}/pause", body)
    assert (answer.status_code, answer.json()["param"]) == (400, param)
    provider.refresh_from_db()
    assert provider.paused_at is None


@pytest.mark.parametrize(
    "path", ["providers/{}", "providers/{}/pause", "providers/{}/resume", "targets/{}", "targets/{}/pause", "targets/{}/resume"]
)
@pytest.mark.parametrize("wrong", ["x", "prov_" + "0" * 32, "target_" + "0" * 32, "%F0%9F%98%80", "prov_" + "g" * 32, "a" * 3000])
def test_ids_that_name_nothing(path: str, wrong: str) -> None:
    address, client = "/api/" + path.format(wrong), operator()
    answer = post(client, address, {"reason": "x"}) if path.count("/") == 2 else client.get(address)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_the_key_of_a_workspace_alone_neither_sees_nor_stops_what_all_share() -> None:
    provider = make_provider()
    target = make_model("small", provider).targets.get()
    client = make_client("acme", *WORKSPACE_SCOPES)
    for path in ("/api/providers", f"/api/providers/{provider.public_id}", f"/api/targets/{target.public_id}"):
        assert (client.get(path).status_code, client.get(path).json()["code"]) == (403, "missing_scope")
    for path in (f"/api/providers/{provider.public_id}/pause", f"/api/targets/{target.public_id}/pause"):
        assert post(client, path, {"reason": "x"}).status_code == 403
    assert not TransitionRecord.objects.exists()


def test_a_key_cannot_give_itself_the_scope() -> None:
    client = make_client("acme", *WORKSPACE_SCOPES)
    answer = post(client, "/api/keys", {"name": "more", "scopes": ["platform"]})
    assert (answer.status_code, answer.json()["param"]) == (403, "scopes")
