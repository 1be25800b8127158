"""Room is shared by lane, then workspace, then job, whatever their numbers."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from apps.jobs.domain.claimed import ClaimedItem, Finished
from apps.jobs.domain.fairness import Candidate, next_group, share_room
from apps.jobs.domain.retry import Tries
from apps.providers.domain.calls import Completion
from apps.providers.domain.outcomes import Outcome


def candidate(job: int, workspace: int = 1, lane: str = "default", limit: int | None = None) -> Candidate:
    return Candidate(job_id=UUID(int=job), workspace_id=UUID(int=workspace), lane=lane, limit=limit)


def test_share_room_one_job_gets_all() -> None:
    assert share_room([candidate(1)], 100, turn=7) == {UUID(int=1): 100}


def test_share_room_workspaces_are_equal_however_many_jobs_they_have() -> None:
    quotas = share_room([*(candidate(job) for job in range(1, 10)), candidate(99, workspace=2)], 90, turn=0)
    assert quotas[UUID(int=99)] == 45


def test_share_room_default_gets_four_times_bulk() -> None:
    quotas = share_room([candidate(1), candidate(2, lane="bulk")], 100, turn=0)
    assert quotas == {UUID(int=2): 20, UUID(int=1): 80}


def test_share_room_with_less_room_than_jobs_serves_all_in_turn() -> None:
    jobs = [candidate(job, workspace=job) for job in range(5)]
    served = [job for turn in range(5) for job in share_room(jobs, 1, turn=turn)]
    assert sorted(served) == [job.job_id for job in jobs]


def test_share_room_limit_bounds_a_job() -> None:
    assert share_room([candidate(1, limit=3)], 100, turn=0) == {UUID(int=1): 3}


@given(
    st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["default", "bulk"])), min_size=1, max_size=30),
    st.integers(0, 500),
    st.integers(0, 1000),
)
def test_share_room_never_gives_more_than_there_is(jobs: list[tuple[int, str]], room: int, turn: int) -> None:
    quotas = share_room([candidate(n, workspace, lane) for n, (workspace, lane) in enumerate(jobs)], room, turn=turn)
    assert sum(quotas.values()) == room
    assert all(quota > 0 for quota in quotas.values())


def finished(*workspaces: int) -> list[Finished]:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    items = [
        ClaimedItem(
            item_id=uuid4(), run_id=uuid4(), job_id=uuid4(), workspace_id=UUID(int=workspace), api_key_id=None, model_id=uuid4(),
            kind="batch", lane="default", endpoint="", end_user="", feature="", reply_to="", tries=Tries(0, 0, 0), claimed_at=now,
            ready_at=now, request=None,
        )
        for workspace in workspaces
    ]  # fmt: skip
    return [Finished(item=item, completion=Completion(outcome=Outcome.OK), ended_at=now) for item in items]


def test_next_group_takes_all_when_they_fit() -> None:
    runs = finished(1, 2, 1)
    assert next_group(runs, 3) == (runs, [])


def test_next_group_of_one_workspace_keeps_the_order() -> None:
    runs = finished(1, 1, 1)
    assert next_group(runs, 2) == (runs[:2], runs[2:])


def test_next_group_does_not_let_a_few_wait_behind_many() -> None:
    runs = finished(1, 1, 1, 1, 2, 2)
    group, rest = next_group(runs, 3)
    assert group == [runs[0], runs[4], runs[1]]
    assert rest == [runs[5], runs[2], runs[3]]
