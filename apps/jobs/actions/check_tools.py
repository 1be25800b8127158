"""Check the platform's tools that a request asks for, before it is taken: that there are such, and that their options make sense."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson

from apps.jobs.actions.find_tools import find_tools
from apps.jobs.domain.tool import ToolRefusedError
from apps.jobs.domain.tool_wish import CheckTools, ToolUse, option_refused, require_tools
from apps.providers.domain.policy import AnswerPolicy


def tool_checker(workspace_id: UUID) -> CheckTools:
    """For one call, or for all lines of a file: the same options are looked up once."""
    known: dict[tuple[str, bytes], ToolRefusedError | None] = {}

    def check(values: Mapping[str, Any], body: bytes, endpoint: str, policy: AnswerPolicy) -> None:
        for use in require_tools(values, body, endpoint, policy, find_tools()):
            if (refused := _looked_up(use)) is not None:
                raise option_refused(use, refused)

    def _looked_up(use: ToolUse) -> ToolRefusedError | None:
        key = (use.tool.name, orjson.dumps(use.options, option=orjson.OPT_SORT_KEYS))
        if key not in known:
            known[key] = _refusal(use, workspace_id)
        return known[key]

    return check


def _refusal(use: ToolUse, workspace_id: UUID) -> ToolRefusedError | None:
    try:
        use.tool.check_options(use.options, workspace_id)
    except ToolRefusedError as refused:
        return refused
    return None
