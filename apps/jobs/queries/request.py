"""What an item asks."""

from apps.jobs.models import Item
from apps.traces.queries import read_bodies


def read_request(item: Item) -> bytes | None:
    """The body of its request; None once that has been forgotten."""
    body_id = bytes(item.request_body_id)
    return read_bodies([body_id]).get(body_id)
