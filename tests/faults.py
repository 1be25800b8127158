"""What catalogues of faults name: tests, which have to be there and to run."""

import ast
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent


def figure(fault: str, said: str) -> None:
    """What a test has measured of a fault, for those who run it with -s; docs/faults.md holds such figures."""
    print(f"\n{fault}: {said}")  # noqa: T201 -- what -s is for


@cache
def shown_in(path: str) -> dict[str, list[str]]:
    """The tests of a module (its path below tests/) by name, each with its decorators."""
    tree = ast.parse((ROOT / path).read_text())
    return {
        node.name: [ast.unparse(decorator) for decorator in node.decorator_list]
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def assert_shown(shown_by: Mapping[str, Sequence[str]]) -> None:
    """There are tests, by the paths of their modules, and none of them is skipped or expected to fail."""
    assert shown_by
    for path, names in shown_by.items():
        for name in names:
            assert name in shown_in(path)
            assert not [decorator for decorator in shown_in(path)[name] if "skip" in decorator or "xfail" in decorator]
