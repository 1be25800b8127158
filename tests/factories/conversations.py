"""Conversations, turns and memory, as the tests need them."""

from typing import Any

from django.utils import timezone

from apps.accounts.models import Workspace
from apps.conversations.actions import Origin, change_memory
from apps.conversations.domain.memory import Change, Kind, Source, start_hash
from apps.conversations.domain.state import first_hash, turn_hash
from apps.conversations.models import Conversation, Profile, Summary, Turn, TurnState
from apps.lib.ids import uuid7


def make_conversation(workspace: Workspace, **values: Any) -> Conversation:
    key = uuid7()
    rows: dict[str, Any] = {"id": key, "root_id": key, "tip_hash": first_hash(key), "model_name": "small", **values}
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
        "previous_hash": bytes(conversation.tip_hash),
        **values,
    }
    said = {name: rows.get(name) for name in ("messages", "tool_calls")}
    if rows["state"] == TurnState.ANSWERED:
        rows.setdefault("hash", turn_hash(rows["previous_hash"], input=rows["input"], answer=rows["answer"], **said))
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


def make_profile(workspace: Workspace, end_user: str, **remembered: Any) -> Profile:
    """A person of whom this is remembered; of whom nobody says what, one thing. `id`: of the profile."""
    key = remembered.pop("id", None) or uuid7()
    profile = Profile.objects.create(id=key, workspace=workspace, end_user=end_user, tip_hash=start_hash(key))
    for name, text in (remembered or {"name": "Ada"}).items():
        change_memory(profile_id=key, change=Change(Kind.SET, name, text), origin=Origin(Source.API), now=timezone.now())
    profile.refresh_from_db()
    return profile
