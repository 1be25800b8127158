"""Conversations and what is remembered of people in the back office; Django finds the pages here."""

from apps.conversations.admin.conversations import ConversationAdmin

__all__ = ["ConversationAdmin"]
