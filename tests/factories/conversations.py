"""Conversations, turns and memory, as the tests need them."""

import hashlib
from typing import Any

from apps.accounts.models import Workspace
from apps.conversations.models import Conversation, MemoryEvent, Profile, Summary, Turn, TurnState
from apps.lib.ids import uuid7


def make_conversation(workspace: Workspace, **values: Any) -> Conversation:
    key = uuid7()
    rows: dict[str, Any] = {"id": key, "root_id": key, "tip_hash": hashlib.sha256(key.bytes).digest(), "model_name": "small", **values}
    return Conversation.objects.create(workspace=workspace, **rows)


def make_turn(conversation: Conversation, **values: Any) -> Turn:
    """An answered turn, behind the last one."""
    number = conversation.version + 1
    rows: dict[str, Any] = {
        "number": number,
        "state": TurnState.ANSWERED,
        "item_id": uuid7(),
        "input": f"Question {number}",
        "answer": f"Answer {number}",
        "previous_hash": conversation.tip_hash,
        "hash": hashlib.sha256(bytes(conversation.tip_hash)).digest(),
        **values,
    }
    turn = Turn.objects.create(workspace=conversation.workspace, conversation=conversation, **rows)
    if turn.state == TurnState.ANSWERED:
        conversation.version, conversation.tip_hash = number, bytes(turn.hash or b"")
        conversation.save()
    return turn


def make_summary(conversation: Conversation, **values: Any) -> Summary:
    rows: dict[str, Any] = {
        "upto": conversation.version,
        "upto_hash": conversation.tip_hash,
        "item_id": uuid7(),
        "state": "answered",
        **values,
    }
    return Summary.objects.create(conversation=conversation, **rows)


def make_profile(workspace: Workspace, end_user: str) -> Profile:
    """A person of whom one thing is remembered."""
    start, event = hashlib.sha256(b"start").digest(), hashlib.sha256(b"event").digest()
    profile = Profile.objects.create(
        workspace=workspace, end_user=end_user, seq=1, tip_hash=event, memory={"name": {"text": "Ada", "seq": 1}}
    )
    MemoryEvent.objects.create(profile=profile, seq=1, kind="set", key="name", text="Ada", source="api", previous_hash=start, hash=event)
    return profile
