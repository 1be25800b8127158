"""The triage desk: dead items are grouped by what they died of, run again (a dry run first) or discarded; in API and back office."""

import json
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import AuditEntry, Role
from apps.conversations.models import Turn
from apps.jobs.actions import close_turns, mirror_dead
from apps.jobs.actions.bury import Death, bury
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import Item, Job
from apps.jobs.tasks import requeue_dead_item
from apps.lib.ids import uuid7
from apps.lib.redis_client import redis_client
from apps.spend.models import Price
from apps.traces.queries import read_bodies
from tests.factories.accounts import make_client, make_office_client, make_user, make_workspace
from tests.factories.conversations import make_conversation, make_turn
from tests.factories.jobs import make_route
from tests.jobs.batches import end_item
from tests.jobs.rows import make_job

pytestmark = pytest.mark.django_db

module = import_module("apps.jobs.actions.requeue_dead")


def make_dead(*messages: str, code: str = "server_error", **values: Any) -> Job:
    """A job whose items have died, each with its message."""
    model = make_route().model
    job = make_job(prompts=[f"ask {n}" for n in range(len(messages))], model_id=model.id, dead=len(messages), **values)
    for item, message in zip(Item.objects.filter(job=job).order_by("id"), messages, strict=True):
        Item.objects.filter(id=item.id).update(
            state=ItemState.DEAD,
            outcome="failed_upstream",
            error_code=code,
            error_message=message,
            attempts=5,
            ended_at="2026-11-01T00:00Z",
        )
        bury([Death(item.id, "failed_upstream", code, message)])
    return job


def post(client: Client, path: str, **body: Any) -> Any:
    return client.post(f"/api/dead-items/{path}", json.dumps(body), content_type="application/json")


def groups(client: Client) -> Any:
    return client.get("/api/dead-items").json()["data"]


def test_items_that_died_of_the_same_stand_together() -> None:
    make_dead("Timed out after 31.5 s (request 0af3)", "Timed out after 29 s (request 9b11)", "No such host: 'a.example'")
    make_dead("No such host: 'b.example'", workspace=make_workspace())
    make_dead("Timed out after 1 s (request 1)", workspace=make_workspace("other"))
    found = groups(make_client())
    assert sorted((group["items"], group["jobs"], group["outcome"], group["code"]) for group in found) == [
        (2, 1, "failed_upstream", "server_error"),
        (2, 2, "failed_upstream", "server_error"),
    ]
    assert all(group["newest_item_id"].startswith("item_") and group["first_at"] for group in found)


def test_a_dry_run_counts_and_estimates_and_changes_nothing() -> None:
    job = make_dead("down", "down")
    answer = post(make_client(), "requeue", job_id=job.public_id, dry_run=True).json()
    assert (answer["items"], answer["jobs"], answer["left"], answer["impossible"]) == (2, 1, 0, 0)
    assert 0 < float(answer["estimate"]["least_cost_usd"]) < float(answer["estimate"]["most_cost_usd"])
    assert set(job.items.values_list("state", flat=True)) == {ItemState.DEAD}


def test_what_many_cost_together_may_be_any_sum() -> None:
    job = make_dead("down", "down")
    job.items.update(cost_usd="99999999.999999999999")
    Price.objects.update(input_usd_per_million=10**7, output_usd_per_million=10**7, request_usd=60_000_000)
    assert [group["cost_usd"] for group in groups(make_client())] == ["199999999.999999999998"]
    estimate = post(make_client(), "requeue", job_id=job.public_id, dry_run=True).json()["estimate"]
    assert 120_000_000 <= float(estimate["least_cost_usd"]) < float(estimate["most_cost_usd"])


def test_a_dry_run_goes_by_the_policy_of_the_jobs() -> None:
    job = make_dead("down", "down")
    plain = post(make_client(), "requeue", job_id=job.public_id, dry_run=True).json()["estimate"]
    make_route("tiny")
    Job.objects.filter(id=job.id).update(policy={"first_model": "tiny", "has_contract": True, "cache_seconds": 60})
    told = post(make_client(), "requeue", job_id=job.public_id, dry_run=True).json()["estimate"]
    assert [(one["least_calls"], one["most_calls"]) for one in (plain, told)] == [(2, 2), (0, 6)]
    assert float(told["least_cost_usd"]) == 0
    assert float(told["most_cost_usd"]) > 3 * float(plain["most_cost_usd"])


def test_a_group_runs_again_with_another_model_and_limit_as_the_next_revision() -> None:
    job, other = make_dead("down", "down", status=JobStatus.COMPLETED), make_dead("up")
    stronger = make_route("stronger").model
    fingerprint = job.items.values_list("fingerprint", flat=True)[0]
    answer = post(
        make_client(), "requeue", fingerprint=fingerprint, model="stronger", max_tokens=900, per_minute=60, reason="it is back"
    ).json()
    assert (answer["items"], answer["jobs"], answer["estimate"]) == (2, 1, None)
    job.refresh_from_db()
    assert (job.status, job.revision, job.dead) == (JobStatus.RUNNING, 2, 0)
    first, second = job.items.order_by("id")
    assert {(item.state, item.attempts, item.model_id, item.fingerprint) for item in (first, second)} == {
        (ItemState.WAITING, 0, stronger.id, "")
    }
    assert round((second.not_before - first.not_before).total_seconds(), 3) == 1
    asked = json.loads(read_bodies([bytes(first.request_body_id)])[bytes(first.request_body_id)])
    assert (asked["model"], asked["max_tokens"], asked["messages"][0]["content"]) == ("stronger", 900, "ask 0")
    entry = AuditEntry.objects.get(verb="requeued")
    assert (entry.object_label, entry.reason) == (job.public_id, "it is back")
    assert other.items.get().state == ItemState.DEAD


def test_some_items_can_be_chosen() -> None:
    job = make_dead("down", "down", "down")
    chosen = job.items.order_by("id")[1]
    assert post(make_client(), "requeue", item_ids=[chosen.public_id]).json()["items"] == 1
    assert list(job.items.order_by("id").values_list("state", flat=True)) == [ItemState.DEAD, ItemState.WAITING, ItemState.DEAD]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(JobStatus.CANCELLED, "batch"), (JobStatus.EXPIRED, "batch"), (JobStatus.COMPLETED, "single"), (JobStatus.COMPLETED, "summary")],
)
def test_what_nobody_waits_for_can_only_be_discarded(status: JobStatus, kind: str) -> None:
    job, client = make_dead("down", status=status, kind=kind), make_client()
    item = job.items.get()
    assert post(client, "requeue", item_ids=[item.public_id]).json() | {"estimate": 0} == {
        "items": 0, "jobs": 0, "left": 0, "impossible": 1, "estimate": 0,
    }  # fmt: skip
    if kind != "single":
        rerun = client.post(f"/api/jobs/{job.public_id}/rerun", "{}", content_type="application/json")
        assert rerun.status_code == 409
    assert post(client, "discard", item_ids=[item.public_id], reason="too late").json() == {"items": 1}
    assert groups(client) == []


def test_a_turn_that_died_is_asked_again_while_nothing_was_said_since() -> None:
    """Two turns died in the same state: the first that is requeued has its place there, the other one's answer would have none."""
    conversation = make_conversation(make_workspace())
    items = []
    for _ in range(2):
        job = make_dead("down", status=JobStatus.COMPLETED, kind="single", workspace=conversation.workspace)
        items.append(job.items.get())
        make_turn(conversation, state="failed", item_id=items[-1].id, error_code="server_error", number=1)
    staff = make_office_client()
    page = reverse("admin:jobs_item_change", args=[items[1].pk])
    assert "its answer is what is said next" in staff.get(page).content.decode()
    client = make_client()
    told = [post(client, "requeue", item_ids=[item.public_id]).json() for item in items]
    assert [(one["items"], one["impossible"]) for one in told] == [(1, 0), (0, 1)]
    assert "The conversation has gone on since" in staff.get(page).content.decode()
    states = [Item.objects.get(id=item.id).state for item in items]
    assert states == [ItemState.WAITING, ItemState.DEAD]
    assert list(Turn.objects.order_by("id").values_list("state", "error_code")) == [("open", ""), ("failed", "server_error")]
    end_item(items[0], answer=b'{"choices": [{"message": {"content": "At last"}}]}')
    assert close_turns() == 1
    conversation.refresh_from_db()
    assert (conversation.version, Turn.objects.get(item_id=items[0].id).answer) == (1, "At last")


def test_discarded_items_stay_dead_when_the_job_is_rerun() -> None:
    job, client = make_dead("down", "up"), make_client()
    first = job.items.order_by("id")[0]
    post(client, "discard", item_ids=[first.public_id], reason="it never worked")
    assert client.post(f"/api/jobs/{job.public_id}/rerun", content_type="application/json").status_code == 200
    assert list(job.items.order_by("id").values_list("state", flat=True)) == [ItemState.DEAD, ItemState.WAITING]
    assert AuditEntry.objects.get(verb="discarded").reason == "it never worked"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "fingerprint"),
        ({"fingerprint": "xyz"}, "fingerprint"),
        ({"job_id": "batch_1"}, "job_id"),
        ({"item_ids": "item_1"}, "item_ids"),
        ({"item_ids": ["item_1"]}, "item_ids[0]"),
        ({"fingerprint": "0" * 16, "max_tokens": 0}, "max_tokens"),
        ({"fingerprint": "0" * 16, "per_minute": True}, "per_minute"),
        ({"fingerprint": "0" * 16, "dry_run": "yes"}, "dry_run"),
        ({"fingerprint": "0" * 16, "modle": "x"}, "modle"),
        ({"fingerprint": "0" * 16, "model": "nobody"}, "model"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused_by_name(body: dict[str, Any], param: str) -> None:
    answer = post(make_client(), "requeue", **body)
    assert (answer.status_code in {400, 404}, answer.json()["param"]) == (True, param)


def test_a_slow_requeue_has_its_day_after_the_last_item_is_ready() -> None:
    job = make_dead("down", "down", status=JobStatus.COMPLETED)
    post(make_client(), "requeue", job_id=job.public_id, per_minute=1)
    job.refresh_from_db()
    last = job.items.order_by("-not_before")[0].not_before
    assert job.expires_at - last > timedelta(hours=23, minutes=59)


def overtake(monkeypatch: pytest.MonkeyPatch, rival: Callable[[], object]) -> None:
    """Somebody else is quicker: between the choice of the items and the lock on their job."""
    real = module._requeue_in

    def slow(*arguments: Any, **named: Any) -> int:
        monkeypatch.setattr(module, "_requeue_in", real)
        rival()
        return real(*arguments, **named)

    monkeypatch.setattr(module, "_requeue_in", slow)


def test_whoever_comes_second_opens_no_empty_revision_and_changes_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    job, client = make_dead("down", status=JobStatus.COMPLETED), make_client()
    asked = job.items.get().request_body_id

    def rival() -> None:
        assert post(client, "requeue", job_id=job.public_id).json()["items"] == 1
        Item.objects.filter(job=job).update(state=ItemState.DONE)
        Job.objects.filter(id=job.id).update(status=JobStatus.COMPLETED)

    overtake(monkeypatch, rival)
    answer = post(client, "requeue", job_id=job.public_id, max_tokens=900).json()
    job.refresh_from_db()
    assert (answer["items"], answer["jobs"], job.status, job.revision, job.dead) == (0, 0, JobStatus.COMPLETED, 2, 0)
    assert job.items.get().request_body_id == asked
    assert AuditEntry.objects.filter(verb="requeued").count() == 1


def test_what_was_discarded_a_moment_ago_is_not_requeued(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would run, and should it die again nobody would see it."""
    job, client = make_dead("down", "down", status=JobStatus.COMPLETED), make_client()
    first = job.items.order_by("id")[0]
    overtake(monkeypatch, lambda: post(client, "discard", item_ids=[first.public_id], reason="no"))
    assert post(client, "requeue", job_id=job.public_id).json()["items"] == 1
    job.refresh_from_db()
    assert (job.dead, list(job.items.order_by("id").values_list("state", flat=True))) == (1, [ItemState.DEAD, ItemState.WAITING])


def test_discarding_needs_a_reason_and_strangers_reach_nothing() -> None:
    job = make_dead("down")
    item = job.items.get()
    assert post(make_client(), "discard", item_ids=[item.public_id]).json()["param"] == "reason"
    stranger = make_client("other")
    assert post(stranger, "requeue", item_ids=[item.public_id]).json()["items"] == 0
    assert post(stranger, "discard", item_ids=[item.public_id], reason="mine now").json() == {"items": 0}
    item.refresh_from_db()
    assert (item.state, item.discarded_at) == (ItemState.DEAD, None)


def test_the_desk_shows_groups_counts_first_and_then_requeues() -> None:
    job = make_dead("Timed out after 3 s", "Timed out after 4 s")
    office, desk = make_office_client(), reverse("admin:jobs_item_dead")
    fingerprint = job.items.values_list("fingerprint", flat=True)[0]
    assert f"?group={fingerprint}" in office.get(desk).content.decode()
    page = f"{desk}?group={fingerprint}"
    assert job.items.all()[0].public_id in office.get(page).content.decode()
    looked = office.post(page, {"step": "look", "per_minute": "60", "reason": "again"}).content.decode()
    assert "2 items of 1 job would wait anew" in looked
    assert set(job.items.values_list("state", flat=True)) == {ItemState.DEAD}
    office.post(page, {"step": "do", "per_minute": "60", "reason": "again"})
    assert set(job.items.values_list("state", flat=True)) == {ItemState.WAITING}
    assert "Nothing is dead" in office.get(desk).content.decode()


def test_the_desk_asks_before_it_discards() -> None:
    job = make_dead("Timed out after 3 s", "Timed out after 4 s")
    office = make_office_client()
    page = f"{reverse('admin:jobs_item_dead')}?group={job.items.values_list('fingerprint', flat=True)[0]}"
    assert "Say why" in office.post(page, {"act": "discard"}, follow=True).content.decode()
    one = job.items.all()[0].public_id
    asked = office.post(page, {"act": "discard", "reason": "too late", "item_ids": [one]}).content.decode()
    assert "1 item would be given up for good" in asked
    assert f'name="item_ids" value="{one}"' in asked
    assert job.items.filter(discarded_at=None).count() == 2
    office.post(page, {"act": "discard", "step": "do", "reason": "too late", "item_ids": [one]})
    assert job.items.filter(discarded_at=None).count() == 1


def test_who_only_looks_can_change_nothing_and_sees_only_their_own() -> None:
    job = make_dead("down")
    make_dead("Secret of the others", workspace=make_workspace("other"))
    office = make_office_client(make_user("vera", acme=Role.VIEWER))
    page = f"{reverse('admin:jobs_item_dead')}?group={job.items.values_list('fingerprint', flat=True)[0]}"
    assert "Discard" not in office.get(page).content.decode()
    assert "Secret" not in office.get(reverse("admin:jobs_item_dead")).content.decode()
    assert office.post(page, {"act": "discard", "reason": "x"}).status_code == 403


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("Timed out after 3 s", "Timed out after 31.25 s", True),
        (f"No run {uuid7()}", f"No run {uuid7()}", True),
        ("Unknown field 'a b'", "Unknown field 'c'", True),
        ("Unknown field 'a'", "Missing field 'a'", False),
        ("", "", True),
    ],
)
def test_what_is_peculiar_to_one_item_does_not_part_it_from_others(one: str, other: str, is_same: bool) -> None:  # noqa: FBT001 -- a parameter
    first, second = make_dead(one).items.get(), make_dead(other).items.get()
    assert (first.fingerprint == second.fingerprint) is is_same


@pytest.mark.django_db(transaction=True)
def test_the_dead_letter_queue_keeps_step_and_a_worker_on_it_runs_its_items_again() -> None:
    job = make_dead("down", "down", "up")
    assert (mirror_dead(), redis_client().llen("dead_letter")) == (3, 3)
    assert (mirror_dead(), redis_client().llen("dead_letter")) == (3, 3)
    post(make_client(), "discard", item_ids=[job.items.order_by("id")[0].public_id], reason="no")
    assert (mirror_dead(), redis_client().llen("dead_letter")) == (2, 2)
    redis_client().delete("dead_letter")
    assert (mirror_dead(), redis_client().llen("dead_letter")) == (2, 2)
    last = job.items.order_by("id")[2]
    assert requeue_dead_item(item_id=last.public_id) == 1
    assert (mirror_dead(), redis_client().llen("dead_letter")) == (1, 1)
