"""Which JSON schemas are safe to check answers with: nothing is fetched, and the work that one can make is bounded before it is used.

Schemas come from callers. `weigh` counts how often a schema may look at one place of an answer; times the size of the answer that
bounds the work, whatever both hold. Patterns run on an engine that is linear in the text.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any

MOST_BYTES = 128 * 1024
MOST_PATTERNS = 30
_MOST_LEVELS = 200
_MOST_STEPS = 50_000
_MOST_WEIGHT = 100_000
# An answer to a schema that contains itself is checked to this depth.
RECURSIVE_LEVELS = 24
# They change where a reference leads, or name schemas elsewhere.
_NOT_TAKEN = ("$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$vocabulary")
_SAME_PLACE_LISTS = ("allOf", "anyOf", "oneOf")
_SAME_PLACE = ("not", "if", "then", "else")
_SAME_PLACE_MAPS = ("dependentSchemas", "dependencies")
_ANY_PROPERTY = ("additionalProperties", "unevaluatedProperties")
_ANY_ENTRY = ("items", "contains", "unevaluatedItems", "additionalItems")


class SchemaRefusedError(Exception):
    """The schema is not used; the text says why."""


class _IsRecursiveError(Exception):
    pass


def weigh(schema: dict[str, Any]) -> tuple[int, int, bool]:
    """(how often it may look at one place of an answer, how many patterns it has, whether it contains itself)."""
    weigher = _Weigher(schema)
    try:
        weight = weigher.weight(schema, 0, 0)
    except _IsRecursiveError:
        weigher = _Weigher(schema, is_recursive=True)
        weight = weigher.weight(schema, RECURSIVE_LEVELS, 0)
    if weight > _MOST_WEIGHT:
        raise SchemaRefusedError("The schema is too costly to check: its alternatives multiply. Use fewer of them inside each other.")
    return weight, len(weigher.patterns), weigher.is_recursive


class _Weigher:
    def __init__(self, root: dict[str, Any], *, is_recursive: bool = False) -> None:
        self.root = root
        self.is_recursive = is_recursive
        self.known: dict[tuple[int, int], int] = {}
        self.under_way: set[tuple[int, int]] = set()
        self.patterns: set[str] = set()
        self.steps = 0

    def weight(self, schema: Any, levels: int, depth: int) -> int:
        """Of a schema at one place, with the worst of what lies below it; `levels` of an answer are left."""
        if not isinstance(schema, dict):
            return 1
        key = (id(schema), levels)
        if key in self.known:
            return self.known[key]
        self.steps += 1
        if depth > _MOST_LEVELS or self.steps > _MOST_STEPS:
            raise SchemaRefusedError(f"The schema is nested too deeply or too long: {_MOST_LEVELS} levels at most.")
        if key in self.under_way:
            if not self.is_recursive:
                raise _IsRecursiveError
            raise SchemaRefusedError("The schema refers to itself without going deeper, so it says nothing.")
        self.under_way.add(key)
        total = self._own(schema) + sum(self.weight(part, levels, depth + 1) for part in self._same_place(schema))
        if levels or not self.is_recursive:
            below = levels - 1 if self.is_recursive else 0
            total += max((sum(self.weight(part, below, depth + 1) for part in group) for group in _below(schema)), default=0)
        self.under_way.discard(key)
        self.known[key] = min(total, _MOST_WEIGHT + 1)
        return self.known[key]

    def _own(self, schema: dict[str, Any]) -> int:
        for name in _NOT_TAKEN:
            if name in schema:
                raise SchemaRefusedError(f"The schema uses {name!r}, which is not taken; use '$ref' with '#/$defs/...' alone.")
        if isinstance(pattern := schema.get("pattern"), str):
            self.patterns.add(pattern)
        if isinstance(by_pattern := schema.get("patternProperties"), dict):
            self.patterns.update(map(str, by_pattern))
        if len(self.patterns) > MOST_PATTERNS:
            raise SchemaRefusedError(f"The schema has more than {MOST_PATTERNS} different patterns.")
        listed = sum(len(value) for name in ("enum", "required", "properties") if isinstance(value := schema.get(name), list | dict))
        return 1 + len(schema) + listed // 4

    def _same_place(self, schema: dict[str, Any]) -> Iterator[Any]:
        for name in _SAME_PLACE_LISTS:
            yield from _listed(schema.get(name))
        for name in _SAME_PLACE:
            if name in schema:
                yield schema[name]
        for name in _SAME_PLACE_MAPS:
            yield from _mapped(schema.get(name))
        if "$ref" in schema:
            yield self._referred(schema["$ref"])

    def _referred(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise SchemaRefusedError(f"The schema refers to {str(reference)[:100]!r}; only places inside itself ('#/...') are taken.")
        place: Any = self.root
        for step in reference.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(place, list) and name.isdecimal() and int(name) < len(place):
                place = place[int(name)]
            elif isinstance(place, dict) and name in place:
                place = place[name]
            else:
                raise SchemaRefusedError(f"The schema refers to {reference[:100]!r}, and there is no such place in it.")
        return place


def _below(schema: dict[str, Any]) -> Iterator[list[Any]]:
    """Groups of schemas that may all look at the same child; different properties are different children."""
    of_any = [schema[name] for name in _ANY_PROPERTY if name in schema] + _mapped(schema.get("patternProperties"))
    for part in _mapped(schema.get("properties")):
        yield [part, *of_any]
    yield of_any
    entries = [_listed(schema[name]) or [schema[name]] for name in _ANY_ENTRY if name in schema]
    yield [*chain.from_iterable(entries), *_listed(schema.get("prefixItems"))]
    if "propertyNames" in schema:
        yield [schema["propertyNames"]]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapped(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else []
