"""Who is served next: lanes by weight, workspaces in turn, and the jobs of one workspace in turn."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from uuid import UUID

from apps.jobs.domain.claimed import Finished
from apps.jobs.domain.lifecycle import Lane

# A pump that serves two lanes gives the ordinary one four items for each bulk one.
LANE_WEIGHTS = {Lane.INTERACTIVE: 1, Lane.DEFAULT: 4, Lane.BULK: 1}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A job with items that are ready."""

    job_id: UUID
    workspace_id: UUID
    lane: str
    limit: int | None = None
    model_name: str = ""


@dataclass(frozen=True, slots=True)
class ModelBounds:
    """How many items of a model may begin now, by name; and the ids of those of which none may."""

    allowances: Mapping[str, int] = field(default_factory=dict)
    blocked_ids: Sequence[UUID] = ()

    @classmethod
    def of(cls, allowances: Mapping[UUID, int], *, names: Mapping[UUID, str]) -> "ModelBounds":
        return cls(
            allowances={names[id_]: allowance for id_, allowance in allowances.items() if id_ in names},
            blocked_ids=[id_ for id_, allowance in allowances.items() if allowance == 0],
        )

    @property
    def blocked_names(self) -> list[str]:
        return [name for name, allowance in self.allowances.items() if allowance == 0]

    def bound(self, candidates: Sequence[Candidate], quotas: dict[UUID, int], taken: Mapping[str, int], *, turn: int) -> dict[UUID, int]:
        """The quotas cut to what the models allow beyond what was `taken`; the jobs of one model share it fairly."""
        bounded = dict(quotas)
        for name, allowance in self.allowances.items():
            jobs = [candidate for candidate in candidates if candidate.model_name == name and candidate.job_id in quotas]
            left = max(0, allowance - taken.get(name, 0))
            if sum(quotas[job.job_id] for job in jobs) > left:
                shares = share_room([replace(job, limit=quotas[job.job_id]) for job in jobs], left, turn=turn)
                for job in jobs:
                    bounded.pop(job.job_id)
                bounded |= shares
        return bounded


def share_room(candidates: Sequence[Candidate], room: int, *, turn: int) -> dict[UUID, int]:
    """Cut `room` items into a quota for each job; `turn` grows from call to call and moves who gets the odd ones.

    With less room than jobs, the next `room` jobs in turn get one each.
    """
    by_lane: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        by_lane[candidate.lane].append(candidate)
    lanes = sorted(by_lane)
    lane_rooms = _split(room, [LANE_WEIGHTS[Lane(lane)] for lane in lanes], turn)
    quotas: dict[UUID, int] = {}
    for lane, lane_room in zip(lanes, lane_rooms, strict=True):
        quotas |= _share_lane(by_lane[lane], lane_room, turn)
    return quotas


def next_group(finished: Sequence[Finished], size: int) -> tuple[list[Finished], list[Finished]]:
    """The `size` runs to settle next, one of each workspace in turn, oldest first; and the rest."""
    if len(finished) <= size:
        return list(finished), []
    seen: dict[UUID, int] = defaultdict(int)
    ranked = []
    for run in finished:
        seen[run.item.workspace_id] += 1
        ranked.append((seen[run.item.workspace_id], run))
    if len(seen) > 1:
        ranked.sort(key=itemgetter(0))
    in_turn = [run for _, run in ranked]
    return in_turn[:size], in_turn[size:]


def _share_lane(candidates: list[Candidate], room: int, turn: int) -> dict[UUID, int]:
    by_workspace: dict[UUID, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        by_workspace[candidate.workspace_id].append(candidate)
    groups = [by_workspace[key] for key in sorted(by_workspace)]
    quotas: dict[UUID, int] = {}
    for jobs, share in zip(groups, _split(room, [1] * len(groups), turn), strict=True):
        for job, quota in zip(jobs, _split(share, [1] * len(jobs), turn), strict=True):
            granted = quota if job.limit is None else min(quota, job.limit)
            if granted:
                quotas[job.job_id] = granted
    return quotas


def _split(room: int, weights: list[int], turn: int) -> list[int]:
    """Whole parts of `room` by weight; what is left over goes round, beginning at `turn`."""
    total = sum(weights)
    parts = [room * weight // total for weight in weights]
    for step in range(room - sum(parts)):
        parts[(turn + step) % len(parts)] += 1
    return parts
