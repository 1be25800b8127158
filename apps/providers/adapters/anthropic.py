"""Anthropic's Messages API, for callers who speak OpenAI's chat completions."""

from datetime import datetime
from typing import Any

import orjson

from apps.providers.adapters.anthropic_answer import is_known_stop, read_usage, write_chat_completion
from apps.providers.adapters.anthropic_request import write_messages_request
from apps.providers.adapters.anthropic_stream import MessageStream
from apps.providers.adapters.reading import DOUBTFUL_USAGE, error_of, is_doubtful, parse, read_error, read_failure
from apps.providers.adapters.refusing import dump, load_object
from apps.providers.domain.answers import Reading, Request, WireAnswer
from apps.providers.domain.calls import Call, Route
from apps.providers.domain.outcomes import Outcome
from apps.spend.domain.usage import TokenUsage

_VERSION = "2023-06-01"
_ENDPOINT = "/v1/chat/completions"
# Anthropic's errors by name, with the status that each stands for: a gateway may send them with another one.
_STATUS_BY_TYPE = {
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "rate_limit_error": 429,
    "overloaded_error": 529,
}
# An account without credit is told as an invalid request; only the text says which.
_NO_CREDIT = "credit balance is too low"
_ABOUT_STREAMS = ("stream", "stream_options")
_COUNTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")


class AnthropicAdapter:
    """Translates chat completions into messages, and messages back."""

    is_cached_free = True

    def read_usage(self, raw: Any) -> TokenUsage | None:
        return read_usage(raw)

    def write(self, call: Call, route: Route) -> Request:
        if call.endpoint != _ENDPOINT:
            raise ValueError(f"Providers of the kind anthropic answer {_ENDPOINT} alone, not {call.endpoint}.")
        asked = {name: value for name, value in load_object(call.body).items() if name not in _ABOUT_STREAMS}
        body = write_messages_request(asked, upstream_model=route.upstream_model, max_output_tokens=route.max_output_tokens)
        if call.is_streamed:
            body["stream"] = True
        headers = {"Content-Type": "application/json", "anthropic-version": _VERSION, "X-Client-Request-Id": str(call.run_id)}
        if route.api_key:
            headers["x-api-key"] = route.api_key
        return Request(url=route.base_url + "/messages", body=dump(body), headers=headers)

    def open_stream(self, call: Call, *, now: datetime) -> MessageStream:
        return MessageStream(has_usage=call.is_usage_told, created=int(now.timestamp()))

    def read(self, answer: WireAnswer) -> Reading:
        if failed := read_failure(answer):
            return failed
        body = parse(answer.body)
        if answer.status != 200 or not isinstance(body, dict) or body.get("error"):
            return _read_error(answer, body)
        usage = read_usage(body.get("usage"))
        translated = write_chat_completion(body, usage, created=int(answer.sent_at.timestamp()))
        if translated is None:
            return Reading(
                outcome=Outcome.AMBIGUOUS,
                error_code="unreadable_answer",
                error_message="The provider's message is not whole.",
            )
        raw = body.get("usage")
        notes = [DOUBTFUL_USAGE] if usage is None or is_doubtful(raw, *_COUNTS) else []
        if not is_known_stop(body):
            notes.append(f"The provider stopped for a reason that is not known here: {body['stop_reason'][:100]!r}; told as 'stop'.")
        return Reading(
            outcome=Outcome.OK,
            usage=usage,
            raw_usage=raw if isinstance(raw, dict) else None,
            translated=orjson.dumps(translated),
            note=" ".join(notes),
            shape="choices",
        )


def _read_error(answer: WireAnswer, body: Any) -> Reading:
    code, kind, message = error_of(body)
    status = answer.status or 0
    as_status = _STATUS_BY_TYPE.get(kind) if status >= 400 else None
    if status == 400 and _NO_CREDIT in message.lower():
        code, as_status = "billing_error", 402
    if status == 404 and kind == "not_found_error":
        code = "model_not_found"  # the path is always the same, so what is not found is the model
    reading = read_error(answer, code, kind, message, as_status=as_status)
    envelope = {"message": reading.error_message, "type": kind or "api_error", "param": None, "code": code or kind or None}
    translated = orjson.dumps({"error": envelope}) if kind or message else b""
    return Reading(
        outcome=reading.outcome,
        error_code=reading.error_code,
        error_message=reading.error_message,
        retry_after_seconds=reading.retry_after_seconds,
        translated=translated,
    )
