"""Tools for tests, as an operator would offer them: AIPLATFORM_TOOLS=tests.jobs.scribe."""

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import psycopg
import redis
from django.db import InterfaceError, connection
from django.db.models import F, Value
from django.db.models.functions import Concat

from apps.accounts.models import Workspace
from apps.jobs.domain.tool import SideEffect, Tool, ToolContext, ToolFailedError

# What tools outside of the database have done, a line for each time.
BOOK = "SCRIBE_BOOK"
let_go = threading.Event()
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"], "additionalProperties": False}


def _write(context: ToolContext, name: str) -> None:
    with Path(os.environ[BOOK]).open("a") as book:
        book.write(f"{name} {context.idempotency_key}\n")


def write_line(context: ToolContext, arguments: dict[str, Any]) -> str:
    _write(context, "write")
    return f"Written: {arguments['text']}"


def look(context: ToolContext, arguments: dict[str, Any]) -> dict[str, Any]:
    _write(context, "look")
    return {"seen": arguments["text"], "for": context.end_user}


def add_dot(context: ToolContext, arguments: dict[str, Any]) -> str:
    Workspace.objects.filter(id=context.workspace_id).update(name=Concat(F("name"), Value(".")))
    if arguments["text"] == "fail":
        raise ToolFailedError("There is no room for a dot.")
    return "A dot is added."


def break_down(context: ToolContext, arguments: dict[str, Any]) -> str:
    raise ValueError(arguments["text"])


# What a tool may raise that is not about the platform, though it looks so; the last ones would end a process.
RAISED: dict[str, type[BaseException]] = {
    "valkey": redis.ConnectionError,
    "valkey_time": redis.TimeoutError,
    "database": psycopg.OperationalError,
    "canceled": psycopg.errors.QueryCanceled,
    "django": InterfaceError,
    "exit": SystemExit,
    "interrupt": KeyboardInterrupt,
    "cancel": asyncio.CancelledError,
}


def give_way(context: ToolContext, arguments: dict[str, Any]) -> str:
    raise RAISED[arguments["text"]]


def stumble(context: ToolContext, arguments: dict[str, Any]) -> str:
    if not let_go.is_set():
        raise redis.ConnectionError
    return "It goes on."


def cut_cord(context: ToolContext, arguments: dict[str, Any]) -> str:
    """As if the platform's database went away."""
    connection.connection.close()
    return str(Workspace.objects.count())


def hang(context: ToolContext, arguments: dict[str, Any]) -> str:
    let_go.wait()
    return "too late"


def say_much(context: ToolContext, arguments: dict[str, Any]) -> str:
    return "ä" * 20_000


TOOLS = [
    Tool("write_line", "Writes a line.", TEXT, SideEffect.WRITE, write_line),
    Tool("look", "Looks something up.", TEXT, SideEffect.READ, look),
    Tool("add_dot", "Adds a dot to the name of the workspace.", TEXT, SideEffect.WRITE, add_dot, in_transaction=True),
    Tool("break_down", "Fails.", TEXT, SideEffect.PURE, break_down),
    Tool("give_way", "Raises what looks like the platform's.", TEXT, SideEffect.WRITE, give_way),
    Tool("give_way_within", "The same in a transaction.", TEXT, SideEffect.WRITE, give_way, in_transaction=True),
    Tool("stumble", "Can't reach a store of the platform.", TEXT, SideEffect.READ, stumble, is_ours=True),
    Tool("cut_cord", "Loses the platform's database.", TEXT, SideEffect.READ, cut_cord),
    Tool("hang", "Never answers.", TEXT, SideEffect.WRITE, hang, limit_seconds=0.2),
    Tool("say_much", "Says more than a model is given.", TEXT, SideEffect.PURE, say_much),
]
