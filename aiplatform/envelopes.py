"""Let nothing malformed through kombu's Redis transport: it would end the worker, or any process that listens."""

from typing import Any

import structlog
from kombu.transport import redis as kombu_redis
from kombu.transport.virtual import Transport

from apps.lib.rings import MAX_BYTES, find_envelope_flaw

log = structlog.get_logger(__name__)


class _Envelope(dict[str, Any]):
    """What lay in a queue, and how long it was."""

    size = 0


def guard_broker(queues: tuple[str, ...]) -> None:
    """Look at whatever comes, before kombu makes a message of it; of `queues` also at how long it is."""
    transport_module: Any = kombu_redis
    load, deliver = transport_module.loads, Transport._deliver  # noqa: SLF001 -- kombu has no other place

    def load_any(text: str) -> Any:
        try:
            content = load(text)
        except Exception:  # noqa: BLE001 -- JSON that is none, or too deep, or of types that aren't what they say
            return None
        if type(content) is not dict:
            return content
        envelope = _Envelope(content)
        envelope.size = len(text)
        return envelope

    def deliver_whole(transport: Any, message: Any, queue: str) -> None:
        flaw = find_envelope_flaw(message)
        if not flaw and queue in queues and getattr(message, "size", 0) > MAX_BYTES:
            flaw = "it is too long"
        if flaw:
            log.warning("message_dropped", queue=queue, reason=flaw)
            return
        deliver(transport, message, queue)

    transport_module.loads = load_any
    Transport._deliver = deliver_whole  # type: ignore[method-assign, assignment]  # noqa: SLF001 -- in place of kombu's
