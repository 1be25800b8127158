"""Each failpoint stands in the code exactly once, and no other is passed."""

import ast
from collections import Counter

from apps.lib.failpoints import POINTS
from tests.architecture.source import modules


def test_each_failpoint_stands_once() -> None:
    passed = Counter(
        node.args[0].value
        for tree in modules().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "failpoint"
        if isinstance(node.args[0], ast.Constant)
    )
    assert passed == Counter(POINTS)
