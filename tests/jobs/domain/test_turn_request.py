"""Turns of a conversation that make no sense are refused by name, at both doors."""

from typing import Any

import pytest

from apps.jobs.domain.call_request import CallRefusedError
from apps.jobs.domain.turn_request import read_chat_turn, read_native_turn

SAID = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize("tools", [[None], [None, None], ["x"], "x", {"type": "function"}, 7])
def test_tools_that_are_none(tools: Any) -> None:
    for read, values in ((read_native_turn, {"input": "hi"}), (read_chat_turn, {"messages": SAID})):
        with pytest.raises(CallRefusedError) as refused:
            read({**values, "tools": tools})
        assert refused.value.param == "tools"
        assert read({**values, "tools": [{"type": "function"}]}).rest["tools"] == [{"type": "function"}]


@pytest.mark.parametrize("parameters", [[], 0, False, "", "x"])
def test_parameters_that_are_none(parameters: Any) -> None:
    with pytest.raises(CallRefusedError) as refused:
        read_native_turn({"input": "hi", "parameters": parameters})
    assert refused.value.param == "parameters"
    assert read_native_turn({"input": "hi", "parameters": None}).text == "hi"
