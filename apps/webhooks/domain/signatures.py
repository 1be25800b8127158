"""Standard Webhooks: how a delivery proves who sent it and when."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime

_SECRET_PREFIX = "whsec_"  # noqa: S105 -- how every secret begins, not one of them
_SECRET_BYTES = 32


def make_secret() -> str:
    """`whsec_` and 32 bytes of chance in base64."""
    return _SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def sign(secret: str, *, event_id: str, timestamp: int, body: str) -> str:
    """One signature: `v1,` and the HMAC-SHA-256 of `id.timestamp.body` in base64."""
    key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX))
    digest = hmac.new(key, f"{event_id}.{timestamp}.{body}".encode(), hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def sign_headers(valid_secrets: Sequence[str], *, event_id: str, body: str, now: datetime) -> dict[str, str]:
    """The three headers; a signature for each secret that is valid, so that receivers may change theirs when they like."""
    timestamp = int(now.timestamp())
    signatures = " ".join(sign(secret, event_id=event_id, timestamp=timestamp, body=body) for secret in valid_secrets)
    return {"webhook-id": event_id, "webhook-timestamp": str(timestamp), "webhook-signature": signatures}
