"""A clean shutdown gives items back, and that counts as nothing."""

import pytest
from django.utils import timezone

from apps.jobs.actions.claim import claim_items
from apps.jobs.actions.release import release_items
from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.models import Item
from apps.lib.ids import uuid7
from apps.traces.models import Run
from tests.jobs.rows import make_job

pytestmark = pytest.mark.django_db


def test_released_items_can_be_claimed_again_and_have_lost_nothing() -> None:
    make_job(prompts=["a", "b"])
    held = claim_items(pump_id=uuid7(), lanes=["default"], room=2, batch_room=0, turn=0)
    assert release_items(held, now=timezone.now()) == 2
    assert set(Item.objects.values_list("state", "attempts", "losses", "free_tries")) == {(ItemState.WAITING, 0, 0, 0)}
    assert set(Run.objects.values_list("id", "outcome")) == {(item.run_id, "given_back") for item in held}
    assert len(claim_items(pump_id=uuid7(), lanes=["default"], room=2, batch_room=0, turn=0)) == 2


def test_what_another_run_holds_by_now_is_not_released() -> None:
    make_job(prompts=["a"])
    held = claim_items(pump_id=uuid7(), lanes=["default"], room=1, batch_room=0, turn=0)
    Item.objects.update(run_id=uuid7())
    assert release_items(held, now=timezone.now()) == 0
    assert (Item.objects.get().state, Run.objects.count()) == (ItemState.RUNNING, 0)
