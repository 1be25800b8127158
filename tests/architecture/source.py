"""The product's own source files, for the tests that measure them."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def modules() -> dict[Path, ast.Module]:
    """Every module of the product (without migrations), parsed, by its path from the root."""
    files = [file for folder in ("apps", "aiplatform") for file in sorted((ROOT / folder).rglob("*.py")) if "migrations" not in file.parts]
    return {file.relative_to(ROOT): ast.parse(file.read_text()) for file in files}


def functions() -> Iterator[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function and method of the product."""
    for path, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node


def python_files() -> list[Path]:
    """Every tracked-looking Python file of the repository, tests and benches included."""
    folders = ("apps", "aiplatform", "tests", "bench")
    return [file for folder in folders for file in sorted((ROOT / folder).rglob("*.py")) if "migrations" not in file.parts]
