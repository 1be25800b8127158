"""The last step of making the schema: async operations, errors in both shapes, examples and links, for every operation alike."""

from collections.abc import Iterator
from typing import Any

from aiplatform.openapi.calls import async_paths
from aiplatform.openapi.examples import BODIES, LINKS, PATH_VALUES, QUERY_VALUES
from apps.accounts.domain.idempotency import KEY_HEADER

_WORDS = {
    400: "The request makes no sense; the answer names what is wrong.",
    401: "No API key, or none that is live.",
    403: "The key lacks the scope, or may not do this.",
    404: "There is no such thing in the key's workspace.",
    405: "The address takes other methods.",
    406: "The answer can't be given in the form that `Accept` asks for.",
    409: "It stands otherwise, and would refuse again; with `Retry-After`: the same request is under way.",
    413: "The body is too long.",
    422: "The `Idempotency-Key` came with another body before.",
    415: "The body has another type than is taken.",
    429: "Too many requests with this key, or too many streams open; `Retry-After` says how long to wait.",
    502: "The provider failed.",
    503: "The platform, or the provider behind it, takes nothing at present; `Retry-After` may say when.",
    504: "No answer came in time.",
}
_ALWAYS = {400, 401, 403, 405, 429, 503}
# REST framework's views alone.
_REST = {406}
_CHANGES = {"cancel_batch", "pause_job", "resume_job", "cancel_job", "change_lane", "rerun_failed", "revoke_key"}
_CHANGES |= {"rotate_webhook_secret", "test_webhook", "replay_delivery", "create_webhook"}
_CHANGES |= {"add_upload_part", "complete_upload", "cancel_upload"}
# Take an `Idempotency-Key` though they are no POST.
_ONCE_TOO = {"set_memory", "forget_memory"}
# Their bodies name what may not be there.
_NAMING = {"requeue_dead_items", "create_document_job", "create_conversation"}
_ONCE = {
    "name": KEY_HEADER,
    "in": "header",
    "required": False,
    "description": "A name for this request, for example a UUID: sent again within 7 days it counts once, and gets the same answer.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
_ENVELOPE = {
    "type": "object",
    "description": "OpenAI's shape.",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": "string", "nullable": True},
                "code": {"type": "string", "nullable": True},
            },
        }
    },
}
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457. `code` is for programs, `detail` for people; `param` names what is wrong.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "param": {"type": "string"},
    },
}


# Bodies of which every name is known: another one is refused.
_CLOSED = ("BatchRequest", "Requeue")


def complete_schema(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:  # noqa: ARG001, FBT001 -- drf-spectacular's hook
    """What drf-spectacular calls last, with the whole schema."""
    result["paths"] = dict(sorted((result["paths"] | async_paths()).items()))
    result["components"].setdefault("schemas", {}).update({"OpenAIError": _ENVELOPE, "Problem": _PROBLEM})
    for name in _CLOSED:
        result["components"]["schemas"][name]["additionalProperties"] = False
    for path, method, operation in _operations(result):
        if method == "post" or operation["operationId"] in _ONCE_TOO:
            operation.setdefault("parameters", []).append(_ONCE)
        if path.startswith("/v1"):
            operation["tags"] = ["OpenAI-compatible"]
        scope = operation["x-required-scope"]  # a view without one lets nobody in
        operation["description"] = f"{operation.get('description', '')}\n\nNeeds a key with the scope `{scope}`.".strip()
        _add_errors(path, method, operation)
        _add_examples(operation)
        _add_links(operation)
    complete: dict[str, Any] = _without_marks(result)
    return complete


def _without_marks(value: Any) -> Any:
    """The generator marks choices for the hook that we don't use."""
    if isinstance(value, dict):
        return {name: _without_marks(inner) for name, inner in value.items() if name != "x-spec-enum-id"}
    return [_without_marks(inner) for inner in value] if isinstance(value, list) else value


def _operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    return ((path, method, operation) for path, methods in schema["paths"].items() for method, operation in methods.items())


def _is_async(path: str) -> bool:
    return path in async_paths()


def _is_call(path: str) -> bool:
    return _is_async(path) and (path.startswith("/v1") or path.endswith("/turns"))


def _statuses(path: str, method: str, operation: dict[str, Any]) -> list[int]:
    found = _ALWAYS | (set() if _is_async(path) else _REST)
    found |= {404} if "{" in path or _is_call(path) or operation["operationId"] in _NAMING else set()
    if method == "post" or operation["operationId"] in _ONCE_TOO:
        found |= {409, 422}
    found |= {409} if operation["operationId"] in _CHANGES else set()
    found |= {413, 415} if "requestBody" in operation and not _is_call(path) else set()
    return sorted(found | ({409, 413, 502, 504} if _is_call(path) else set()))


def _add_errors(path: str, method: str, operation: dict[str, Any]) -> None:
    media, name = ("application/json", "OpenAIError") if path.startswith("/v1") else ("application/problem+json", "Problem")
    for status in _statuses(path, method, operation):
        response: dict[str, Any] = {
            "description": _WORDS[status],
            "content": {media: {"schema": {"$ref": f"#/components/schemas/{name}"}}},
        }
        if status == 429:
            response["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
        operation["responses"].setdefault(str(status), response)
    if _is_call(path):
        refused = {"description": "What the provider refused the request with.", "content": {"application/json": {"schema": {}}}}
        operation["responses"]["4XX"] = refused


def _add_examples(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        values = {"path": PATH_VALUES, "query": QUERY_VALUES}.get(parameter["in"], {})
        own = f"{operation['operationId']}.{parameter['name']}"
        if own in values or parameter["name"] in values:
            parameter["example"] = values.get(own, values.get(parameter["name"]))
    body = BODIES.get(operation["operationId"])
    if body:
        for content in operation["requestBody"]["content"].values():
            content["example"] = body


def _add_links(operation: dict[str, Any]) -> None:
    if operation["operationId"] not in LINKS:
        return
    parameter, pointer, targets = LINKS[operation["operationId"]]
    links = {name: {"operationId": name, "parameters": {parameter: f"$response.body#{pointer}"}} for name in targets}
    for status in ("200", "201"):
        if status in operation["responses"]:
            operation["responses"][status]["links"] = links
