"""The stack on one machine: `run_stack` is the supervisor, `start_detached` starts one, the others find it by its home."""

from apps.ops.actions.stack.ask_status import ask_status
from apps.ops.actions.stack.keep_state import load_state
from apps.ops.actions.stack.lock_home import is_locked
from apps.ops.actions.stack.restart_parts import restart_parts
from apps.ops.actions.stack.run_stack import addresses_of, run_stack
from apps.ops.actions.stack.start_detached import news_line, start_detached, stop_supervisor
from apps.ops.actions.stack.stop_stack import stop_stack

__all__ = [
    "addresses_of",
    "ask_status",
    "is_locked",
    "load_state",
    "news_line",
    "restart_parts",
    "run_stack",
    "start_detached",
    "stop_stack",
    "stop_supervisor",
]
