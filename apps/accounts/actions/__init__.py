"""Let callers in, make and revoke what lets them in, and write down who changed what."""

from apps.accounts.actions.answer_once import Answer, answer_once, remember_result
from apps.accounts.actions.authenticate_key import authenticate_key
from apps.accounts.actions.create_api_key import NewApiKey, create_api_key
from apps.accounts.actions.ensure_workspace import ensure_workspace
from apps.accounts.actions.forget_records import forget_records
from apps.accounts.actions.record_audit import acting, current_actor, record_audit
from apps.accounts.actions.revoke_api_key import revoke_api_key

__all__ = [
    "Answer",
    "NewApiKey",
    "acting",
    "answer_once",
    "authenticate_key",
    "create_api_key",
    "current_actor",
    "ensure_workspace",
    "forget_records",
    "record_audit",
    "remember_result",
    "revoke_api_key",
]
