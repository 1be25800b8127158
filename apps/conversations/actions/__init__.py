"""What can be done with conversations and memory."""

from apps.conversations.actions.change_memory import Changed, Origin, change_memory
from apps.conversations.actions.create_profile import create_profile
from apps.conversations.actions.erase_profile import erase_profile
from apps.conversations.actions.forget import forget
from apps.conversations.actions.rebuild_memory import Rebuilt, rebuild_memory
from apps.conversations.actions.remember import remember

__all__ = [
    "Changed",
    "Origin",
    "Rebuilt",
    "change_memory",
    "create_profile",
    "erase_profile",
    "forget",
    "rebuild_memory",
    "remember",
]
