"""Find what the cache has for claimed items: one look-up for the whole group, and none when no job of it asks for the cache."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from apps.jobs.domain.claimed import ClaimedItem
from apps.providers.actions import look_up_answers
from apps.providers.domain.calls import Kept, Stage
from apps.providers.domain.canonical import answer_key
from apps.providers.domain.kept import Wanted


def with_kept_answers(claimed: Sequence[ClaimedItem], shared: Mapping[UUID, Kept]) -> list[ClaimedItem]:
    """The items, those that may share answers with the key of their request and what is kept under it.

    `shared`: what some of them take over, whatever their job says of the cache.
    """
    keyed = {
        number: answer_key(workspace_id=item.workspace_id, endpoint=item.endpoint, body=item.request, policy=item.policy)
        for number, item in enumerate(claimed)
        if item.policy.cache_seconds and item.stage is Stage.START and item.request is not None
    }
    if not keyed and not shared:
        return list(claimed)
    wanted = [Wanted(key, claimed[number].workspace_id, claimed[number].policy.cache_seconds or 0) for number, key in keyed.items()]
    kept = dict(zip(keyed, look_up_answers(wanted), strict=True))
    return [
        replace(item, answer_key=keyed.get(number), kept=shared.get(item.item_id, kept.get(number))) for number, item in enumerate(claimed)
    ]
