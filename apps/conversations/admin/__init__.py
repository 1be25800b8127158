"""Conversations and what is remembered of people in the back office; Django finds the pages here."""

from apps.conversations.admin.conversations import ConversationAdmin
from apps.conversations.admin.probes import ProbeAdmin
from apps.conversations.admin.profiles import ProfileAdmin

__all__ = ["ConversationAdmin", "ProbeAdmin", "ProfileAdmin"]
