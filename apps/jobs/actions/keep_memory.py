"""The tools by which a model has something remembered of whoever speaks, or forgotten. Of whom, the request says, never the model.

They write to the platform's own database alone, in the transaction that records the call: each happens exactly once.
"""

from typing import Any

from apps.conversations import actions as conversations
from apps.conversations.domain.memory import KEY, KEY_RULE, LONGEST_KEY, LONGEST_TEXT
from apps.jobs.domain.tool import SideEffect, Tool, ToolContext, ToolFailedError
from apps.lib.http_errors import ApiError

_KEY = {
    "type": "string",
    "description": f"What it is about, in a word. {KEY_RULE}",
    "pattern": f"^{KEY.pattern}$",
    "maxLength": LONGEST_KEY,
}


def _remember(context: ToolContext, arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        conversations.remember(**_whose(context), key=arguments["key"], text=arguments["text"])
    except ApiError as refused:
        raise ToolFailedError(refused.message) from refused
    return {"remembered": arguments["key"]}


def _forget(context: ToolContext, arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        conversations.forget(**_whose(context), key=arguments["key"])
    except ApiError as refused:
        raise ToolFailedError(refused.message) from refused
    return {"forgotten": arguments["key"]}


def _whose(context: ToolContext) -> dict[str, Any]:
    if not context.end_user:
        message = "Nobody knows who speaks: the request names no end user, so nothing can be remembered or forgotten."
        raise ToolFailedError(message)
    return {
        "workspace_id": context.workspace_id,
        "end_user": context.end_user,
        "item_id": context.item_id,
        "once_key": f"tool:{context.idempotency_key}",
        "now": context.now,
    }


REMEMBER = Tool(
    name="remember",
    description="Remembers something of the person who speaks, in this conversation and in later ones. Only what they said themselves and "
    "what stays useful; in whole words, without secrets. What was remembered under the same key is replaced.",
    parameters={
        "type": "object",
        "properties": {
            "key": _KEY,
            "text": {"type": "string", "description": "What to remember.", "minLength": 1, "maxLength": LONGEST_TEXT},
        },
        "required": ["key", "text"],
        "additionalProperties": False,
    },
    side_effect=SideEffect.WRITE,
    run=_remember,
    in_transaction=True,
)
FORGET = Tool(
    name="forget",
    description="Forgets what is remembered of the person who speaks under a key, when they ask for it or it is wrong.",
    parameters={"type": "object", "properties": {"key": _KEY}, "required": ["key"], "additionalProperties": False},
    side_effect=SideEffect.WRITE,
    run=_forget,
    in_transaction=True,
)
