"""What tools did for items."""

from apps.jobs.models import Item
from apps.lib.ids import uuid7
from apps.traces.actions import begin_effect, end_effect
from apps.traces.domain.records import EffectEnd, EffectRecord
from apps.traces.models import Effect


def make_effect(item: Item, *, seq: int = 0, arguments: bytes = b'{"text": "x"}', result: bytes | None = b"Found.") -> Effect:
    """Without a result it has no end."""
    record = EffectRecord(item.workspace_id, item.id, item.run_id or uuid7(), seq, 0, "look", "read", arguments, "7.0c1d2e3f4a5b6c7d.3")
    begin_effect(record)
    if result is not None:
        end_effect(record, EffectEnd("ok", result, "5" * 64))
    return Effect.objects.get(item_id=item.id, seq=seq)
