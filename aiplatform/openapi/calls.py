"""The operations of async views, which REST framework doesn't know: single calls, and a job's events."""

from copy import deepcopy
from typing import Any

from apps.jobs.domain.submission import USD

_OBJECTS = {"type": "array", "minItems": 1, "items": {"type": "object"}}
_TEXT = {"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "minItems": 1, "items": {}}]}
_STORED = {"type": "object", "minProperties": 1, "description": "A prompt that the provider keeps; it may stand for `input`."}
_NAMED = {
    "type": "object",
    "required": ["id"],
    "description": "A prompt of the workspace, in its published version or in this one; its messages stand before the request's own.",
    "properties": {
        "id": {"type": "string", "minLength": 1, "description": "The prompt's name."},
        "version": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "^[0-9]{1,9}$"}], "nullable": True},
        "variables": {"type": "object", "additionalProperties": True},
    },
    "additionalProperties": False,
}
# Path -> name, summary, and what the body must have one of besides the model. Where there is a choice the others may be empty.
_KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "/v1/chat/completions": ("create_chat_completion", "Answer a conversation.", {"messages": _OBJECTS}),
    "/v1/completions": ("create_completion", "Continue a text.", {"prompt": _TEXT}),
    "/v1/embeddings": ("create_embedding", "Turn texts into vectors.", {"input": _TEXT}),
    "/v1/responses": ("create_response", "Answer an input.", {"input": _TEXT, "prompt": _STORED}),
}
_HEADERS = (
    ("X-Feature", "What the call is for; costs are shown by it.", {"type": "string", "maxLength": 64}),
    (
        "X-Prompt-Version",
        "Which version of a prompt it was made from; `metadata.prompt_version` in the body wins.",
        {"type": "string", "maxLength": 64},
    ),
    ("X-Max-Cost-USD", "The most that it may cost, in US dollars.", {"type": "string", "pattern": f"^{USD}$"}),
    (
        "X-Cache",
        "Give the answer that the same request got before, and keep this one: `on` (for the usual time), `off`, or for so many seconds.",
        {"type": "string", "pattern": r"^(on|off|[1-9]\d{0,9})?$"},
    ),
    (
        "X-Output-Contract",
        "Check the answer against the request's `response_format`; a wrong one is repaired once. Chat completions and responses.",
        {"type": "string", "enum": ["on", "off", ""]},
    ),
    ("X-First-Model", "A cheaper model that is asked first. Chat completions and responses.", {"type": "string", "maxLength": 200}),
    ("X-Accept-If", "When its answer is taken: `schema`, `not_refused`, `field>=0.8`, with commas between them.", {"type": "string"}),
    ("X-Failover", "Whether other targets are asked when the first one fails.", {"type": "string", "enum": ["on", "off", ""]}),
)
_OF_TURN = {
    name: {"description": text, "schema": {"type": "string"}}
    for name, text in {
        "X-Conversation-Id": "Of a turn: the conversation that it was asked in; a conflict may have forked it.",
        "X-Conversation-Version": "The version that the turn makes.",
        "X-Conversation-State": "The state that the turn was asked in.",
    }.items()
}
_NO_STREAM = {"type": "boolean", "nullable": True, "enum": [False, None], "description": "Only chat completions are streamed."}
_STREAM = {"type": "boolean", "nullable": True, "description": "The answer as server-sent events, in OpenAI's chunks."}
_WAIT = (
    "The call waits for its answer on a lane of its own. The body goes to the provider as it is, but for the model's name; "
    "the answer comes back as the provider gave it."
)


def async_paths() -> dict[str, Any]:
    """Path items in the shape that the generator gives."""
    streams = {"/api/jobs/{job_id}/events": {"get": _EVENTS}, "/api/items/{item_id}/events": {"get": _ANSWER_EVENTS}}
    turns = {"/api/conversations/{conversation_id}/turns": {"post": _TURN}}
    # Whoever completes the schema writes into them: each time they are new.
    return {path: {"post": _call(*kind)} for path, kind in _KINDS.items()} | deepcopy(streams | turns)


def _call(operation_id: str, summary: str, needed: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": "object",
        "required": ["model", *needed],
        "properties": {"model": {"type": "string", "minLength": 1, "maxLength": 200}, **needed, "stream": _NO_STREAM},
        "additionalProperties": True,
    }
    if operation_id == "create_chat_completion":
        body["properties"] |= {"prompt": _NAMED, "stream": _STREAM}
        del body["required"]
        body["anyOf"] = [{"required": ["model", "messages"]}, {"required": ["prompt"]}]
    if len(needed) > 1:
        body["required"] = ["model"]
        body["properties"] |= {name: {} for name in needed}
        body["anyOf"] = [{"required": [name], "properties": {name: shape}} for name, shape in needed.items()]
    answer = {
        "description": "The provider's answer.",
        "headers": {
            **_OF_TURN,
            "X-Item-Id": {"description": "The item in `/api/items/{item_id}`.", "schema": {"type": "string"}},
            "X-Cache": {
                "description": "`hit`: the answer was kept and cost nothing. Only with the request's `X-Cache`.",
                "schema": {"type": "string", "enum": ["hit", "miss"]},
            },
        },
        "content": {"application/json": {"schema": {"type": "object", "additionalProperties": True}}},
    }
    return {
        "operationId": operation_id,
        "description": f"{summary} {_WAIT}",
        "parameters": [
            {"name": name, "in": "header", "required": False, "description": text, "schema": schema} for name, text, schema in _HEADERS
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "security": [{"apiKey": []}],
        "x-required-scope": "chat",
        "responses": {"200": answer},
    }


# OpenAPI 3.0 has no words for streams: the schema is one event's, and what its data decodes to stands beside.
_EVENT: dict[str, Any] = {
    "type": "object",
    "description": "One event of the stream.",
    "required": ["event", "data"],
    "properties": {
        "event": {"type": "string", "enum": ["progress", "end"]},
        "data": {"type": "string", "description": "JSON: with `progress` the job, with `end` an empty object."},
    },
    "additionalProperties": False,
    "x-event-data": {"progress": {"$ref": "#/components/schemas/Job"}, "end": {"type": "object", "additionalProperties": False}},
}
_EVENTS: dict[str, Any] = {
    "operationId": "watch_job",
    "description": (
        "A job's progress as server-sent events: `progress` now and on each change, at most once a second, with the job as data; "
        "`end` once it has ended. Comments keep a quiet line open."
    ),
    "tags": ["jobs"],
    "parameters": [{"name": "job_id", "in": "path", "required": True, "schema": {"type": "string"}}],
    "security": [{"apiKey": []}],
    "x-required-scope": "jobs",
    "responses": {"200": {"description": "Events.", "content": {"text/event-stream": {"schema": _EVENT}}}},
}
_ANSWER_EVENT: dict[str, Any] = {
    "type": "object",
    "description": "One event of the stream.",
    "required": ["data"],
    "properties": {
        "event": {
            "type": "string",
            "enum": ["message", "restart", "refused"],
            "description": "`message`, the usual one, is left out on the wire.",
        },
        "id": {"type": "string", "description": "For `Last-Event-ID`."},
        "data": {"type": "string", "description": "A chunk of a chat completion as JSON; `[DONE]` at the end."},
    },
    "additionalProperties": False,
}
_ANSWER_EVENTS: dict[str, Any] = {
    "operationId": "read_answer_events",
    "description": (
        "A call's answer as server-sent events, in OpenAI's chunks: what has come of it, then what comes, live. With `Last-Event-ID` from "
        "behind that event. An event `restart` says that another try answers: what was read before it is to be thrown away. "
        "An answer that nobody streamed comes in one piece; a failure as a chunk with `error`. Comments keep a quiet line open. "
        "Of a job's item the key needs the scope `jobs` instead."
    ),
    "tags": ["items"],
    "parameters": [
        {"name": "item_id", "in": "path", "required": True, "schema": {"type": "string"}},
        {
            "name": "Last-Event-ID",
            "in": "header",
            "required": False,
            "description": "The id of the last event that was read.",
            "schema": {"type": "string", "pattern": "^([0-9]{1,15}-[0-9]{1,15})?$"},
        },
    ],
    "security": [{"apiKey": []}],
    "x-required-scope": "chat",
    "responses": {"200": {"description": "Events.", "content": {"text/event-stream": {"schema": _ANSWER_EVENT}}}},
}
_TURN: dict[str, Any] = {
    "operationId": "create_turn",
    "description": (
        "Say something, and be answered. The model is told what the conversation holds: its instructions, what is remembered of who "
        "speaks, what was said before, and passages of its collection. With `stream` the answer comes as server-sent events in "
        "OpenAI's chunks, "
        "and last an event `turn` with what is answered here."
    ),
    "tags": ["conversations"],
    "parameters": [{"name": "conversation_id", "in": "path", "required": True, "schema": {"type": "string"}}],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["input"],
                    "properties": {
                        "input": {"type": "string", "minLength": 1, "pattern": r"\S", "description": "What is said."},
                        "model": {
                            "type": "string",
                            "nullable": True,
                            "minLength": 1,
                            "maxLength": 200,
                            "description": "Left out: the conversation's.",
                        },
                        "stream": _STREAM,
                        "state": {
                            "anyOf": [{"type": "integer", "minimum": 0, "maximum": 999_999_999}, {"type": "string", "minLength": 1}],
                            "nullable": True,
                            "description": "The state, or the version, that the sender had read.",
                        },
                        "on_conflict": {
                            "type": "string",
                            "nullable": True,
                            "enum": ["retry", "fork", "reject", None],
                            "description": "What becomes of it when the conversation has moved on. Left out: as it says itself.",
                        },
                        "parameters": {
                            "type": "object",
                            "nullable": True,
                            "additionalProperties": True,
                            "description": "For the model, like `temperature`.",
                        },
                        "tools": {
                            "type": "array",
                            "nullable": True,
                            "items": {"type": "object"},
                            "description": "Tools of the caller's own.",
                        },
                    },
                    "additionalProperties": False,
                }
            }
        },
    },
    "security": [{"apiKey": []}],
    "x-required-scope": "chat",
    "responses": {
        "200": {
            "description": "The turn.",
            "headers": _OF_TURN,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Turn"}}},
        },
    },
}
