"""Let callers in, make and revoke what lets them in, and write down who changed what."""

from apps.accounts.actions.answer_once import Answer, answer_once, remember_result
from apps.accounts.actions.authenticate_key import authenticate_key
from apps.accounts.actions.begin_second_factor import NewFactor, begin_second_factor
from apps.accounts.actions.change_own_password import change_own_password
from apps.accounts.actions.check_code import check_code
from apps.accounts.actions.close_workspace import close_workspace, end_workspace
from apps.accounts.actions.confirm_second_factor import confirm_second_factor
from apps.accounts.actions.count_guess import count_guess, take_guess_back
from apps.accounts.actions.create_api_key import NewApiKey, create_api_key
from apps.accounts.actions.end_second_factor import end_second_factor
from apps.accounts.actions.ensure_workspace import ensure_workspace
from apps.accounts.actions.forget_records import forget_records
from apps.accounts.actions.record_audit import acting, current_actor, record_audit
from apps.accounts.actions.renew_recovery_codes import renew_recovery_codes
from apps.accounts.actions.revoke_api_key import revoke_api_key

__all__ = [
    "Answer",
    "NewApiKey",
    "NewFactor",
    "acting",
    "answer_once",
    "authenticate_key",
    "begin_second_factor",
    "change_own_password",
    "check_code",
    "close_workspace",
    "confirm_second_factor",
    "count_guess",
    "create_api_key",
    "current_actor",
    "end_second_factor",
    "end_workspace",
    "ensure_workspace",
    "forget_records",
    "record_audit",
    "remember_result",
    "renew_recovery_codes",
    "revoke_api_key",
    "take_guess_back",
]
