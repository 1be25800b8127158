"""What a step of an item that calls tools may ask a provider at most, before its tools have run."""

from apps.jobs.actions.find_tools import find_tools
from apps.jobs.domain.claimed import ClaimedItem
from apps.jobs.domain.tool_course import ToolCourse, load_course
from apps.jobs.domain.tool_wish import ToolWishRefusedError, stored_tools
from apps.providers.domain.calls import Stage


def most_asked(item: ClaimedItem) -> tuple[bytes | None, int]:
    """The request as far as it is known, and how many tokens may come to it; of an item without tools its own, and none."""
    try:
        wish = stored_tools(item.request, find_tools)
    except ToolWishRefusedError:
        # It is refused when it is asked.
        return item.request, 0
    if wish is None:
        return item.request, 0
    course = (load_course(item.draft) if item.stage is Stage.TOOLS else None) or ToolCourse()
    # No text has more tokens than bytes.
    return wish.written(course.messages, steps=course.steps), course.most_result_bytes
