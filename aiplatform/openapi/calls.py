"""The operations of async views, which REST framework doesn't know: single calls, and a job's events."""

from typing import Any

_MESSAGES = {"type": "array", "items": {"type": "object"}}
_KINDS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "/v1/chat/completions": (
        "create_chat_completion",
        "Answer a conversation.",
        "messages",
        {"type": "array", "items": {"type": "object"}},
    ),
    "/v1/completions": ("create_completion", "Continue a text.", "prompt", {}),
    "/v1/embeddings": ("create_embedding", "Turn texts into vectors.", "input", {}),
    "/v1/responses": ("create_response", "Answer an input.", "input", {}),
}
_HEADERS = (
    ("X-Feature", "What the call is for; costs are shown by it.", {"type": "string", "maxLength": 64}),
    ("X-Max-Cost-USD", "The most that it may cost, in US dollars.", {"type": "string", "pattern": r"^\d{1,8}(\.\d{1,12})?$"}),
    (
        "X-Cache",
        "Give the answer that the same request got before, and keep this one: `on` (for the usual time), `off`, or for so many seconds.",
        {"type": "string", "pattern": r"^(on|off|[1-9]\d{0,9})$"},
    ),
    (
        "X-Output-Contract",
        "Check the answer against the request's `response_format`; a wrong one is repaired once. Chat completions and responses.",
        {"type": "string", "enum": ["on", "off"]},
    ),
    ("X-First-Model", "A cheaper model that is asked first. Chat completions and responses.", {"type": "string", "maxLength": 200}),
    ("X-Accept-If", "When its answer is taken: `schema`, `not_refused`, `field>=0.8`, with commas between them.", {"type": "string"}),
    ("X-Failover", "Whether other targets are asked when the first one fails.", {"type": "string", "enum": ["on", "off"]}),
)
_WAIT = (
    "The call waits for its answer on a lane of its own. The body goes to the provider as it is, but for the model's name; "
    "the answer comes back as the provider gave it. `stream` is not taken yet."
)


def async_paths() -> dict[str, Any]:
    """Path items in the shape that the generator gives."""
    return {path: {"post": _call(*kind)} for path, kind in _KINDS.items()} | {"/api/jobs/{job_id}/events": {"get": _EVENTS}}


def _call(operation_id: str, summary: str, needed: str, shape: dict[str, Any]) -> dict[str, Any]:
    body = {
        "type": "object",
        "required": ["model", needed],
        "properties": {"model": {"type": "string", "maxLength": 200}, needed: shape},
        "additionalProperties": True,
    }
    answer = {
        "description": "The provider's answer.",
        "headers": {
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
        "responses": {"200": answer},
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
    "responses": {"200": {"description": "Events.", "content": {"text/event-stream": {"schema": {"type": "string"}}}}},
}
