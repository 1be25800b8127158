"""Ask providers; the only door to a paid call."""

from apps.providers.actions.answer_by_policy import answer_by_policy
from apps.providers.actions.cache_answers import expire_cache, keep_answers, look_up_answers
from apps.providers.actions.compare_prices import compare_with_list
from apps.providers.actions.complete import complete
from apps.providers.actions.declare import DeclaredTarget, declare_model_targets, declare_provider
from apps.providers.actions.declare_model import declare_model
from apps.providers.actions.foresee_pace import foresee_pace
from apps.providers.actions.gate import Gate
from apps.providers.actions.import_prices import import_prices, read_matches
from apps.providers.actions.open_session import open_session
from apps.providers.actions.pause import pause, resume
from apps.providers.actions.reconcile_usage import reconcile_usage, reconcile_witness
from apps.providers.actions.record_transitions import forget_transitions, record_transitions
from apps.providers.actions.remember_usage import remember_usage
from apps.providers.actions.reprice import reprice
from apps.providers.actions.rotate_provider_key import KeyInvalidError, ProviderUnknownError, rotate_provider_key
from apps.providers.actions.save_provider_key import save_provider_key
from apps.providers.actions.share_answers import SharedAnswers

__all__ = [
    "DeclaredTarget",
    "Gate",
    "KeyInvalidError",
    "ProviderUnknownError",
    "SharedAnswers",
    "answer_by_policy",
    "compare_with_list",
    "complete",
    "declare_model",
    "declare_model_targets",
    "declare_provider",
    "expire_cache",
    "foresee_pace",
    "forget_transitions",
    "import_prices",
    "keep_answers",
    "look_up_answers",
    "open_session",
    "pause",
    "read_matches",
    "reconcile_usage",
    "reconcile_witness",
    "record_transitions",
    "remember_usage",
    "reprice",
    "resume",
    "rotate_provider_key",
    "save_provider_key",
]
