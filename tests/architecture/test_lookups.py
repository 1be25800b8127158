"""What callers send is never the names of a lookup: by `filter(**theirs)` they would ask for any column, or join conditions anew."""

import ast
from collections import defaultdict

from tests.architecture.source import modules

_ASKS = {"filter", "exclude", "get", "aget", "Q"}
# Ours, whose keys are all written down where they are made.
_MAKERS = {"only"}


def _assigned(tree: ast.Module) -> dict[str, list[ast.expr]]:
    """What each name of a module is given, anywhere in it."""
    found: dict[str, list[ast.expr]] = defaultdict(list)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id].append(node.value)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            found[node.target.id].append(node.value)
    return found


def _is_written_down(node: ast.expr, assigned: dict[str, list[ast.expr]]) -> bool:
    """A dictionary whose keys stand in the source."""
    match node:
        case ast.Dict() | ast.DictComp():
            return True
        case ast.IfExp(body=body, orelse=orelse):
            return _is_written_down(body, assigned) and _is_written_down(orelse, assigned)
        case ast.Call(func=ast.Name(id=name)):
            return name in _MAKERS
        case ast.Name(id=name) if assigned[name]:
            return all(_is_written_down(value, defaultdict(list)) for value in assigned[name])
    return False


def test_names_of_lookups_are_written_in_the_source() -> None:
    asked, wrong = 0, []
    for path, tree in modules().items():
        assigned = _assigned(tree)
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""
            unpacked = [keyword.value for keyword in call.keywords if keyword.arg is None]
            if name in _ASKS and unpacked:
                asked += 1
                wrong += [f"{path}:{call.lineno}" for value in unpacked if not _is_written_down(value, assigned)]
    assert wrong == []
    assert asked > 5


def test_the_rule_sees_what_it_is_for() -> None:
    tree = ast.parse("theirs = dict(request.GET)\nours = {'a': 1}")
    assert [_is_written_down(ast.parse(text, mode="eval").body, _assigned(tree)) for text in ("theirs", "ours", "request.GET", "{}")] == [
        False, True, False, True,
    ]  # fmt: skip
