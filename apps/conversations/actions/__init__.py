"""What can be done with conversations and memory."""

from apps.conversations.actions.change_conversation import change_conversation
from apps.conversations.actions.change_memory import Changed, Origin, change_memory
from apps.conversations.actions.close_turn import close_turn
from apps.conversations.actions.create_conversation import create_conversation
from apps.conversations.actions.create_profile import create_profile
from apps.conversations.actions.delete_conversation import delete_conversation
from apps.conversations.actions.erase_profile import erase_profile
from apps.conversations.actions.forget import forget
from apps.conversations.actions.fork_conversation import fork_conversation
from apps.conversations.actions.open_turn import open_turn
from apps.conversations.actions.rebuild_memory import Rebuilt, rebuild_memory
from apps.conversations.actions.record_conversation import record_conversation
from apps.conversations.actions.record_probe import record_probe
from apps.conversations.actions.remember import remember
from apps.conversations.actions.reopen_turn import reopen_turn
from apps.conversations.actions.write_summary import close_summary, open_summary

__all__ = [
    "Changed",
    "Origin",
    "Rebuilt",
    "change_conversation",
    "change_memory",
    "close_summary",
    "close_turn",
    "create_conversation",
    "create_profile",
    "delete_conversation",
    "erase_profile",
    "forget",
    "fork_conversation",
    "open_summary",
    "open_turn",
    "rebuild_memory",
    "record_conversation",
    "record_probe",
    "remember",
    "reopen_turn",
]
