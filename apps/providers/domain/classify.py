"""From an HTTP status and an error code to an outcome class: a table, not a tangle."""

from collections.abc import Set as AbstractSet

from apps.providers.domain.outcomes import Outcome

_BY_STATUS = {
    401: Outcome.CREDENTIAL,
    402: Outcome.CREDENTIAL,
    403: Outcome.CREDENTIAL,
    408: Outcome.FAILED_UPSTREAM,
    409: Outcome.FAILED_UPSTREAM,
    425: Outcome.FAILED_UPSTREAM,
    429: Outcome.THROTTLED,
    529: Outcome.THROTTLED,
}
# These mean that the account or the model is the trouble, whatever status they come with: asking again now is no use.
_CREDENTIAL_CODES = {"insufficient_quota", "billing_not_active", "billing_hard_limit_reached", "account_deactivated", "invalid_api_key"}
_MODEL_CODES = {"model_not_found", "DeploymentNotFound"}


def classify_status(status: int, error_names: AbstractSet[str], *, has_retry_after: bool) -> Outcome:
    """The class of an answer that is no good one, by its status and its error's `code` and `type`. Every number has a class."""
    if error_names & _CREDENTIAL_CODES or (error_names & _MODEL_CODES and status in {400, 404}):
        return Outcome.CREDENTIAL
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status == 503:
        return Outcome.THROTTLED if has_retry_after else Outcome.FAILED_UPSTREAM
    if status >= 500:
        return Outcome.FAILED_UPSTREAM
    if 300 <= status < 500:
        return Outcome.REJECTED
    # 1xx and 2xx without a usable body: something answered, and it may have been billed.
    return Outcome.AMBIGUOUS
