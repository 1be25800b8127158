"""Modules and functions stay small enough to be read in one go."""

import ast
from pathlib import Path
from statistics import median, quantiles

from tests.architecture.source import ROOT, functions, modules

BANNED_NAMES = {"utils", "helpers", "common", "services", "manager", "misc"}


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def lines(path: Path) -> int:
    return (ROOT / path).read_text().count("\n")


def test_no_module_is_longer_than_400_lines() -> None:
    assert {str(path): lines(path) for path in modules() if lines(path) > 400} == {}


def test_the_median_module_has_at_most_80_lines() -> None:
    assert median(lines(path) for path in modules()) <= 80


def test_no_function_is_longer_than_50_lines() -> None:
    assert {f"{path}:{node.name}": length(node) for path, node in functions() if length(node) > 50} == {}


def test_functions_are_mostly_short() -> None:
    lengths = [length(node) for _, node in functions()]
    assert median(lengths) <= 8
    assert quantiles(lengths, n=10)[-1] <= 25


def test_settings_fit_in_300_lines() -> None:
    assert lines(Path("aiplatform/settings.py")) <= 300


def test_every_module_says_what_it_is_for() -> None:
    assert [str(path) for path, tree in modules().items() if not ast.get_docstring(tree)] == []


def test_no_drawer_without_a_name() -> None:
    assert [str(path) for path in modules() if path.stem in BANNED_NAMES or BANNED_NAMES & set(path.parts)] == []
