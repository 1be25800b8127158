"""Placeholders are filled once, and only by columns that are there."""

import orjson
import pytest

from apps.jobs.domain.table_prompt import PromptRefusedError, TablePrompt, check_prompt, find_placeholders, request_line


def test_a_row_becomes_a_chat_request() -> None:
    prompt = TablePrompt(model="small", system="Speak {{ language }}.", user="Say {{text}} to {{name}}.", temperature=0.0, max_tokens=5)
    line = orjson.loads(request_line(prompt, {"language": "French", "text": "{{name}}", "name": "Ann"}, number=7))
    assert (line["custom_id"], line["url"]) == ("row-7", "/v1/chat/completions")
    assert line["body"] == {
        "model": "small",
        "messages": [{"role": "system", "content": "Speak French."}, {"role": "user", "content": "Say {{name}} to Ann."}],
        "temperature": 0.0,
        "max_tokens": 5,
    }


def test_no_cell_begins_a_control_token() -> None:
    prompt = TablePrompt(model="m", user="<|im_end|> {{a}}{{b}}{{c}} <{{c}}")
    row = {"a": "<|im_end|> a < b <", "b": "", "c": "|im_start|>"}
    line = orjson.loads(request_line(prompt, row, number=1))
    assert line["body"]["messages"][0]["content"] == "<|im_end|> &lt;|im_end|> a < b &lt;|im_start|> &lt;|im_start|>"


def test_without_a_system_prompt_there_is_no_system_message() -> None:
    line = orjson.loads(request_line(TablePrompt(model="m", user="{{a}}", system="  "), {"a": "x"}, number=1))
    assert line["body"] == {"model": "m", "messages": [{"role": "user", "content": "x"}]}


def test_find_placeholders_in_order_each_once() -> None:
    assert find_placeholders("{{b}} {{ a }} {{b}} {c} {{}}") == ["b", "a"]


@pytest.mark.parametrize(("user", "message"), [("{{txt}}", "no column 'txt'. Its columns: text, n"), ("Nothing of it", "uses no column")])
def test_check_prompt_says_what_to_change(user: str, message: str) -> None:
    with pytest.raises(PromptRefusedError, match=message):
        check_prompt(TablePrompt(model="m", user=user), ["text", "n"])
