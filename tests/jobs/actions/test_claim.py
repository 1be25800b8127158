"""A claim takes ready items fairly, each once, and counts what was lost."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.jobs.actions.claim import claim_items, claim_suspects
from apps.jobs.domain.claimed import ClaimedItem
from apps.jobs.domain.fairness import ModelBounds
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import Item, Job
from apps.lib.ids import uuid7
from tests.crowds import all_at_once
from tests.jobs.rows import make_job, make_workspace

pytestmark = pytest.mark.django_db


def claim(room: int, *, lanes: tuple[str, ...] = ("default", "bulk"), batch_room: int = 500, turn: int = 0) -> list[ClaimedItem]:
    return claim_items(pump_id=uuid7(), lanes=lanes, room=room, batch_room=batch_room, turn=turn)


def test_claim_takes_at_most_room_and_hands_over_the_request() -> None:
    job = make_job(prompts=["a", "b", "c"])
    claimed = claim(2)
    assert [item.custom_id for item in Item.objects.filter(state=ItemState.RUNNING).order_by("id")] == ["line-1", "line-2"]
    assert {item.job_id for item in claimed} == {job.id}
    assert b'"content":"a"' in (claimed[0].request or b"") + (claimed[1].request or b"")


def test_claim_gives_each_run_an_id_and_a_lease() -> None:
    make_job(prompts=["a", "b"])
    claimed = claim(10)
    rows = {item.id: item for item in Item.objects.all()}
    assert {rows[item.item_id].run_id for item in claimed} == {item.run_id for item in claimed}
    assert len({item.run_id for item in claimed}) == 2
    assert all(row.lease_until and row.lease_until > timezone.now() for row in rows.values())


def test_claim_leaves_out_paused_jobs_other_lanes_and_items_not_yet_due() -> None:
    make_job(status=JobStatus.PAUSED)
    make_job(lane="interactive")
    later = make_job()
    Item.objects.filter(job=later).update(not_before=timezone.now() + timedelta(minutes=1))
    assert claim(10) == []


def test_claim_serves_a_small_workspace_beside_a_big_one() -> None:
    make_job(prompts=[str(n) for n in range(300)])
    small = make_job(workspace=make_workspace("small"), prompts=[str(n) for n in range(10)])
    assert sum(item.job_id == small.id for item in claim(20)) == 10


def test_claim_fills_the_room_when_a_job_has_little() -> None:
    make_job(prompts=["a"])
    make_job(workspace=make_workspace("other"), prompts=[str(n) for n in range(100)])
    assert len(claim(50)) == 50


def test_claim_bounds_batches_in_the_interactive_lane_and_not_single_calls() -> None:
    make_job(lane="interactive", prompts=[str(n) for n in range(20)])
    for _ in range(5):
        make_job(lane="interactive", kind="single")
    claimed = claim(40, lanes=("interactive",), batch_room=3)
    assert sorted(item.kind for item in claimed) == ["batch"] * 3 + ["single"] * 5


def test_claim_leaves_suspects_to_isolation() -> None:
    job = make_job(prompts=[str(n) for n in range(12)])
    Item.objects.filter(job=job).update(losses=2)
    assert claim(10) == []
    assert len(claim_suspects(pump_id=uuid7(), lanes=["default"])) == 8


def test_claim_takes_the_worst_suspect_alone() -> None:
    job = make_job(prompts=["a", "b", "c"])
    Item.objects.filter(job=job).update(losses=2)
    Item.objects.filter(job=job, position=2).update(losses=3)
    claimed = claim_suspects(pump_id=uuid7(), lanes=["default"])
    assert [Item.objects.get(id=item.item_id).position for item in claimed] == [2]


@pytest.mark.django_db(transaction=True)
def test_claim_by_many_at_once_takes_each_item_once() -> None:
    make_job(prompts=[str(n) for n in range(400)])
    taken: list[ClaimedItem] = []

    def work() -> None:
        while claimed := claim(20):
            taken.extend(claimed)

    all_at_once(6, work)
    assert len(taken) == 400
    assert len({item.item_id for item in taken}) == 400


def test_claim_looks_behind_the_marks_only() -> None:
    job = make_job(prompts=[str(n) for n in range(6)])
    first = claim(2)
    mark = max((item.ready_at, item.item_id) for item in first)
    Item.objects.filter(id=first[0].item_id).update(state=ItemState.WAITING)
    behind = claim_items(pump_id=uuid7(), lanes=["default"], room=10, batch_room=0, turn=0, marks={job.id: mark})
    assert [Item.objects.get(id=item.item_id).position for item in sorted(behind, key=lambda item: item.item_id)] == [3, 4, 5, 6]
    assert [item.item_id for item in claim(10)] == [first[0].item_id]


def test_claim_shares_the_batches_part_of_the_interactive_window() -> None:
    for _ in range(3):
        make_job(lane="interactive", prompts=[str(n) for n in range(20)])
    assert len(claim(100, lanes=("interactive",), batch_room=9)) == 9


TINY, SMALL = uuid7(), uuid7()


def claim_within(**allowances: int) -> int:
    """How many items begin when the models named allow so many."""
    names = {TINY: "tiny", SMALL: "small"}
    bounds = ModelBounds.of({id_: allowances[name] for id_, name in names.items() if name in allowances}, names=names)
    return len(claim_items(pump_id=uuid7(), lanes=("default",), room=100, batch_room=0, turn=0, bounds=bounds))


def make_cascade() -> Job:
    """Five items that stand in line for the first model; a sixth one whose first answer was not accepted."""
    job = make_job(prompts=[str(n) for n in range(6)], model_id=TINY, model_name="small", first_model_name="tiny")
    Item.objects.filter(job=job, position=6).update(model_id=SMALL, stage=1)
    return job


def test_claim_looks_at_the_first_model_of_a_job() -> None:
    make_cascade()
    assert claim_within(tiny=2) == 2


def test_claim_is_not_kept_from_the_first_model_by_the_one_after_it() -> None:
    make_cascade()
    assert claim_within(small=0) == 5


def test_claim_goes_on_with_what_waits_for_the_model_itself() -> None:
    make_cascade()
    assert claim_within(tiny=0) == 1
    assert claim_within(tiny=0, small=0) == 0
