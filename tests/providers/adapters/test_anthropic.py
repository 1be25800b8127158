"""Chat completions told as messages, and messages told as chat completions."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from openai.types.chat import ChatCompletion

from apps.providers.adapters.anthropic import AnthropicAdapter
from apps.providers.domain.answers import Reading, WireAnswer
from apps.providers.domain.calls import Call
from apps.providers.domain.outcomes import Outcome
from apps.spend.domain.usage import TokenUsage
from tests.factories.providers import MODEL_ID, make_call, make_route

ADAPTER = AnthropicAdapter()
NOW = datetime(2026, 11, 21, tzinfo=UTC)
PIXEL = "data:image/png;base64,iVBORw0KGgo="
HELLO = {"role": "user", "content": "hello"}
TOOL = {"type": "function", "function": {"name": "weather", "description": "Tells it.", "parameters": {"type": "object"}}}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-y-1",
    "content": [{"type": "text", "text": "Hi."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 20, "output_tokens": 30},
}


def write(**body: Any) -> dict[str, Any]:
    request = ADAPTER.write(make_call(**body), make_route("https://llm.example/v1", upstream_model="claude-y", max_output_tokens=900))
    written: dict[str, Any] = orjson.loads(request.body)
    return written


def read(body: Any, status: int = 200, **headers: str) -> Reading:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ADAPTER.read(WireAnswer(sent_at=NOW, duration_seconds=1, status=status, headers=named, body=orjson.dumps(body)))


def translated(**values: Any) -> dict[str, Any]:
    completion: dict[str, Any] = orjson.loads(read(MESSAGE | values).translated)
    ChatCompletion.model_validate(completion)  # the official client reads it
    return completion


def test_write_posts_to_messages_with_anthropics_headers() -> None:
    call = make_call()
    request = ADAPTER.write(call, make_route("https://llm.example/v1", upstream_model="claude-y"))
    assert request.url == "https://llm.example/v1/messages"
    assert request.headers == {
        "Content-Type": "application/json",
        "anthropic-version": "2023-06-01",
        "X-Client-Request-Id": str(call.run_id),
        "x-api-key": "sk-test",
    }
    assert "x-api-key" not in ADAPTER.write(call, make_route(api_key="")).headers


@pytest.mark.parametrize("endpoint", ["/v1/embeddings", "/v1/completions", "/v1/responses"])
def test_write_refuses_the_endpoints_it_cannot_speak(endpoint: str) -> None:
    with pytest.raises(ValueError, match=endpoint):
        ADAPTER.write(make_call(endpoint=endpoint), make_route())


def test_write_a_plain_question() -> None:
    assert write() == {
        "model": "claude-y",
        "max_tokens": 900,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
    }


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"max_tokens": 5, "max_completion_tokens": 6}, {"max_tokens": 6}),
        ({"temperature": 1.7}, {"temperature": 1}),
        ({"temperature": 0.3, "top_p": 0.9}, {"temperature": 0.3, "top_p": 0.9}),
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"stop": ["a", "b"]}, {"stop_sequences": ["a", "b"]}),
        ({"user": "ann"}, {"metadata": {"user_id": "ann"}}),
        ({"service_tier": "default"}, {"service_tier": "standard_only"}),
        ({"metadata": {"feature": "x"}, "n": 1, "stream": False, "seed": None, "logit_bias": {}, "frequency_penalty": 0}, {}),
        ({"response_format": {"type": "text"}}, {}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}},
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        ),
    ],
)
def test_write_the_parameters(asked: dict[str, Any], written: dict[str, Any]) -> None:
    assert write(**asked) == write() | written


def test_write_the_tools() -> None:
    tools = [{"name": "weather", "description": "Tells it.", "input_schema": {"type": "object"}}]
    assert write(tools=[TOOL])["tools"] == tools
    assert write(tools=[{"type": "function", "function": {"name": "f"}}])["tools"][0]["input_schema"]["type"] == "object"


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": {"type": "function", "function": {"name": "weather"}}}, {"type": "tool", "name": "weather"}),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        ({"tool_choice": "required", "parallel_tool_calls": False}, {"type": "any", "disable_parallel_tool_use": True}),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
        ({"parallel_tool_calls": True}, None),
    ],
)
def test_write_the_choice_of_tools(asked: dict[str, Any], written: dict[str, Any] | None) -> None:
    assert write(tools=[TOOL], **asked).get("tool_choice") == written


def test_write_a_conversation_with_tools_and_images() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Bonn"}'}}
    written = write(
        tools=[TOOL],
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Look."},
                    {"type": "image_url", "image_url": {"url": PIXEL, "detail": "auto"}},
                    {"type": "image_url", "image_url": {"url": "https://pictures.example/1.png"}},
                ],
            },
            {"role": "assistant", "content": None, "refusal": None, "annotations": [], "tool_calls": [call, call | {"id": "call_2"}]},
            {"role": "tool", "tool_call_id": "call_1", "content": "Rain."},
            {"role": "tool", "tool_call_id": "call_2", "content": ""},
            {"role": "user", "content": "So?"},
        ],
    )
    assert written["system"] == [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}]
    user, assistant, results = written["messages"]
    assert user["content"] == [
        {"type": "text", "text": "Look."},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
        {"type": "image", "source": {"type": "url", "url": "https://pictures.example/1.png"}},
    ]
    assert assistant["content"][0] == {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Bonn"}}
    assert (results["role"], results["content"]) == (
        "user",
        [
            {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "Rain."}]},
            {"type": "tool_result", "tool_use_id": "call_2"},
            {"type": "text", "text": "So?"},
        ],
    )


def parts(*entries: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(entries)}]}


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        *[({name: value}, name) for name, value in {"seed": 7, "n": 2, "logprobs": True, "logit_bias": {"1": 2}}.items()],
        *[({name: 1}, name) for name in ("frequency_penalty", "store", "functions", "reasoning_effort", "unheard_of")],
        ({"temperature": "warm"}, "temperature"),
        ({"top_p": True}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stop": [1]}, "stop"),
        ({"user": 7}, "user"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"tools": [{"type": "function", "function": {"name": 7}}]}, "tools[0].function.name"),
        ({"tools": [{"type": "function", "function": {"name": "f", "odd": 7}}]}, "tools[0].function.odd"),
        ({"tools": "all"}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice"),
        ({"tools": [TOOL], "parallel_tool_calls": "no"}, "parallel_tool_calls"),
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
        ({"messages": ["hello"]}, "messages[0].role"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].role"),
        ({"messages": [HELLO | {"name": "ann"}]}, "messages[0].name"),
        ({"messages": [HELLO | {"content": ""}]}, "messages[0].content"),
        ({"messages": [HELLO | {"content": 7}]}, "messages[0].content"),
        ({"messages": [HELLO, {"role": "assistant", "content": None}]}, "messages[1].content"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "[]"}}]}]}, ".arguments"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "1", "type": "custom"}]}]}, "messages[0].tool_calls[0]"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        (parts({"type": "input_audio", "input_audio": {}}), "messages[0].content[0].type"),
        (parts({"type": "image_url", "image_url": {"url": "data:image/tiff;base64,AA=="}}), "messages[0].content[0].image_url.url"),
        (parts({"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}}), "messages[0].content[0].image_url.detail"),
        (parts({"type": "image_url", "image_url": PIXEL}), "messages[0].content[0].image_url"),
    ],
)
def test_write_refuses_by_name_what_it_cannot_say(asked: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=r".+") as refused:
        write(**asked)
    assert f"{field}'" in str(refused.value).split(" ")[0]


def test_write_refuses_a_call_without_messages() -> None:
    with pytest.raises(ValueError, match="'messages'"):
        ADAPTER.write(Call(run_id=MODEL_ID, model_id=MODEL_ID, endpoint="/v1/chat/completions", body=b"{}"), make_route())


def test_read_a_message_as_a_chat_completion() -> None:
    assert translated() == {
        "id": "msg_1",
        "object": "chat.completion",
        "created": int(NOW.timestamp()),
        "model": "claude-y-1",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hi.", "refusal": None}, "logprobs": None, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 20, "completion_tokens": 30, "total_tokens": 50, "prompt_tokens_details": {"cached_tokens": 0}},
    }


def test_read_tool_calls() -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Bonn"}}
    choice = translated(content=[{"type": "thinking", "thinking": "..."}, use], stop_reason="tool_use")["choices"][0]
    call = {"id": "toolu_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Bonn"}'}}
    assert (choice["finish_reason"], choice["message"]["content"], choice["message"]["tool_calls"]) == ("tool_calls", None, [call])


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("something_new", "stop"),
    ],
)
def test_read_why_it_ended(stop_reason: str, finish_reason: str) -> None:
    assert translated(stop_reason=stop_reason)["choices"][0]["finish_reason"] == finish_reason


def test_read_a_reason_that_is_not_known_is_told_as_stop_and_noted() -> None:
    body = {"content": [{"type": "text", "text": "Hi."}], "usage": {"input_tokens": 3, "output_tokens": 2}}
    for stop_reason, is_noted in (("something_new", True), ("end_turn", False)):
        content = orjson.dumps(body | {"stop_reason": stop_reason})
        reading = AnthropicAdapter().read(WireAnswer(sent_at=NOW, duration_seconds=1.0, status=200, body=content))
        assert ("something_new" in reading.note) is is_noted


def test_read_an_empty_message_is_an_empty_text() -> None:
    assert translated(content=[])["choices"][0]["message"]["content"] == ""


def test_read_the_cache_beside_the_input_and_not_inside_it() -> None:
    usage = {"input_tokens": 10, "cache_read_input_tokens": 700, "cache_creation_input_tokens": 200, "output_tokens": 5}
    assert read(MESSAGE | {"usage": usage}).usage == TokenUsage(
        input_tokens=10, cached_input_tokens=700, cache_write_tokens=200, output_tokens=5
    )
    assert translated(usage=usage)["usage"] == {
        "prompt_tokens": 910,
        "completion_tokens": 5,
        "total_tokens": 915,
        "prompt_tokens_details": {"cached_tokens": 700},
    }


def test_read_a_tool_input_nested_too_deep_to_write_is_unreadable() -> None:
    deep = b'{"a":' * 400 + b"1" + b"}" * 400
    body = b'{"content": [{"type": "tool_use", "id": "t", "name": "f", "input": ' + deep + b'}], "stop_reason": "tool_use"}'
    reading = ADAPTER.read(WireAnswer(sent_at=NOW, duration_seconds=1, status=200, body=body))
    assert (reading.outcome, reading.error_code) == (Outcome.AMBIGUOUS, "unreadable_answer")


@pytest.mark.parametrize(
    ("status", "kind", "message", "outcome", "code"),
    [
        (400, "invalid_request_error", "No.", Outcome.REJECTED, "invalid_request_error"),
        (400, "invalid_request_error", "Your credit balance is too low to ...", Outcome.CREDENTIAL, "billing_error"),
        (401, "authentication_error", "No.", Outcome.CREDENTIAL, "authentication_error"),
        (402, "billing_error", "No.", Outcome.CREDENTIAL, "billing_error"),
        (403, "permission_error", "No.", Outcome.CREDENTIAL, "permission_error"),
        (404, "not_found_error", "model: x", Outcome.CREDENTIAL, "model_not_found"),
        (413, "request_too_large", "No.", Outcome.REJECTED, "request_too_large"),
        (429, "rate_limit_error", "No.", Outcome.THROTTLED, "rate_limit_error"),
        (500, "api_error", "No.", Outcome.FAILED_UPSTREAM, "api_error"),
        (504, "timeout_error", "No.", Outcome.FAILED_UPSTREAM, "timeout_error"),
        (529, "overloaded_error", "No.", Outcome.THROTTLED, "overloaded_error"),
        (500, "overloaded_error", "No.", Outcome.THROTTLED, "overloaded_error"),
    ],
)
def test_read_an_error(status: int, kind: str, message: str, outcome: Outcome, code: str) -> None:
    reading = read({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}, status)
    assert (reading.outcome, reading.error_code, reading.error_message) == (outcome, code, message)
    assert orjson.loads(reading.translated) == {"error": {"message": message, "type": kind, "param": None, "code": code}}


def test_read_a_200_that_holds_an_error_is_no_answer() -> None:
    assert read({"type": "error", "error": {"type": "overloaded_error", "message": "Busy."}}).outcome is Outcome.AMBIGUOUS
