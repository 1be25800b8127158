"""A refusal whose status clients repeat by themselves says whether there is any use in it."""

import ast
from collections.abc import Iterator

from tests.architecture.source import modules

# 500 is our own defect: asking again is safe, and nobody knows when it helps.
_REPEATED = {408, 409, 425, 429, 501, 502, 503, 504}


def refusals() -> Iterator[tuple[str, int, ast.Call]]:
    """Each `ApiError(status, ...)` with a literal status."""
    for path, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "ApiError":
                status = node.args[0] if node.args else None
                if isinstance(status, ast.Constant) and isinstance(status.value, int):
                    yield f"{path}:{node.lineno}", status.value, node


def test_a_refusal_that_clients_repeat_says_when_or_never() -> None:
    found = list(refusals())
    assert len(found) > 50
    silent = [place for place, status, call in found if status in _REPEATED and not _says(call)]
    assert not silent, f"These need headers=GIVE_UP or a Retry-After: {silent}"


def _says(call: ast.Call) -> bool:
    headers = next((ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg == "headers"), "")
    return "GIVE_UP" in headers or "Retry-After" in headers
