"""Lock a caller's endpoint for a change, and write the change down."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from apps.accounts.actions import record_audit
from apps.lib.egress import EgressRefusedError, check_url
from apps.lib.http_errors import GIVE_UP, ApiError
from apps.webhooks.actions.sender import egress_rules
from apps.webhooks.models import Endpoint
from apps.webhooks.queries import no_such_endpoint


def lock_endpoint(*, workspace_id: UUID, endpoint_id: UUID) -> Endpoint:
    """The workspace's endpoint, locked until the transaction ends; ApiError 404 when it is gone."""
    endpoint = Endpoint.objects.select_for_update(no_key=True).filter(workspace_id=workspace_id, id=endpoint_id).first()
    if endpoint is None:
        raise no_such_endpoint(str(endpoint_id))
    return endpoint


def require_good_url(url: str) -> None:
    """ApiError 400 that says what is wrong with it. What its name resolves to is looked at before each delivery."""
    try:
        check_url(url, egress_rules())
    except EgressRefusedError as refused:
        raise ApiError(400, "invalid_url", str(refused), param="url") from refused


def refuse_switched_off() -> ApiError:
    """Nothing goes to an endpoint that is switched off."""
    return ApiError(409, "endpoint_disabled", "This endpoint is switched off: enable it first.", headers=GIVE_UP)


def record_endpoint_change(
    endpoint: Endpoint, verb: str, *, before: Mapping[str, Any] | None = None, after: Mapping[str, Any] | None = None, reason: str = ""
) -> None:
    """Into the audit log, inside the transaction of the change."""
    record_audit(
        verb=verb,
        object_type="webhook endpoint",
        object_id=endpoint.id,
        object_label=str(endpoint),
        workspace_id=endpoint.workspace_id,
        before=before,
        after=after,
        reason=reason,
    )
