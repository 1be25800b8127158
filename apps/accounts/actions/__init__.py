"""Let callers in, and make and revoke what lets them in."""

from apps.accounts.actions.authenticate_key import authenticate_key
from apps.accounts.actions.create_api_key import NewApiKey, create_api_key
from apps.accounts.actions.ensure_workspace import ensure_workspace
from apps.accounts.actions.revoke_api_key import revoke_api_key

__all__ = ["NewApiKey", "authenticate_key", "create_api_key", "ensure_workspace", "revoke_api_key"]
