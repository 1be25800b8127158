"""Let callers in, make and revoke what lets them in, and write down who changed what."""

from apps.accounts.actions.authenticate_key import authenticate_key
from apps.accounts.actions.create_api_key import NewApiKey, create_api_key
from apps.accounts.actions.ensure_workspace import ensure_workspace
from apps.accounts.actions.record_audit import acting, current_actor, record_audit
from apps.accounts.actions.revoke_api_key import revoke_api_key

__all__ = [
    "NewApiKey",
    "acting",
    "authenticate_key",
    "create_api_key",
    "current_actor",
    "ensure_workspace",
    "record_audit",
    "revoke_api_key",
]
