"""Compose: an item becomes the call that asks for it."""

from apps.jobs.domain.claimed import ClaimedItem
from apps.providers.domain.calls import Call, Completion
from apps.providers.domain.outcomes import Outcome


def compose_call(item: ClaimedItem) -> Call | Completion:
    """The call, or (when the request's body is gone) the completion that says so."""
    if item.request is None:
        return Completion(
            outcome=Outcome.REJECTED,
            error_code="request_body_expired",
            error_message="The stored request has expired; submit it again.",
        )
    return Call(run_id=item.run_id, model_id=item.model_id, endpoint=item.endpoint, body=item.request)
