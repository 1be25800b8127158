"""Compose: an item becomes the call that asks for it."""

from apps.jobs.domain.budget_words import BUDGET_EXHAUSTED
from apps.jobs.domain.claimed import ClaimedItem
from apps.jobs.domain.stream_wish import NOT_STREAMED, stored_wish
from apps.providers.domain.calls import Call, Completion
from apps.providers.domain.outcomes import Outcome


def compose_call(item: ClaimedItem) -> Call | Completion:
    """The call; or the completion that says why there is none: the request's body is gone, or a budget is used up."""
    if item.refusal:
        return Completion(outcome=Outcome.REJECTED, error_code=BUDGET_EXHAUSTED, error_message=item.refusal)
    if item.request is None:
        return Completion(
            outcome=Outcome.REJECTED,
            error_code="request_body_expired",
            error_message="The stored request has expired; submit it again.",
        )
    # What a policy judges is told when it has been judged; then it is cut into chunks where the caller waits.
    wish = stored_wish(item.request) if item.reply_to and not item.policy.is_steered else NOT_STREAMED
    return Call(
        run_id=item.run_id,
        model_id=item.model_id,
        endpoint=item.endpoint,
        body=item.request,
        must_be_bounded=item.must_be_bounded,
        is_streamed=wish.is_streamed,
        is_usage_told=wish.is_usage_told,
    )
