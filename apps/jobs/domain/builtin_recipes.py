"""The recipes that need no steps of one's own: a few fields, and the texts are ours."""

from collections.abc import Callable, Mapping
from typing import Any

from apps.jobs.domain import recipe_texts as texts
from apps.jobs.domain.own_prompt import MOST_PASSAGES, MOST_WINDOW_TOKENS, FindPrompt, own_prompt
from apps.jobs.domain.recipe import Each, Step
from apps.jobs.domain.recipe_fields import Fields

_MOST_LABELS = 200
_MOST_INSTRUCTIONS = 20_000
_LABEL_LENGTH = 200
_MODEL_LENGTH = 200

Build = Callable[[Fields, FindPrompt], tuple[Step, ...]]


def _extract(fields: Fields, _: FindPrompt) -> tuple[Step, ...]:
    schema = fields.schema("schema")
    if schema is None:
        raise fields.refuse("schema", "is missing: which fields? Give a JSON schema of an object.")
    if schema.get("type") != "object":
        raise fields.refuse("schema", 'must be the schema of an object: {"type": "object", "properties": {...}}.')
    user, from_passages = texts.EXTRACT_USER, texts.EXTRACT_PASSAGES_USER
    return (_reading_step("extract", fields, texts.EXTRACT_SYSTEM, user, from_passages, schema=schema),)


def _classify(fields: Fields, _: FindPrompt) -> tuple[Step, ...]:
    labels = _labels(fields)
    several, reason, confidence = (fields.truth(name) for name in ("several", "reason", "confidence"))
    rules = [texts.CLASSIFY_SEVERAL if several else texts.CLASSIFY_ONE]
    rules += [texts.CLASSIFY_REASON] if reason else []
    rules += [texts.CLASSIFY_CONFIDENCE] if confidence else []
    told = "\n".join(f"- {name}: {meaning}" if meaning else f"- {name}" for name, meaning in labels.items())
    schema = _label_schema(list(labels), several=several, reason=reason, confidence=confidence)
    values = {"labels": told, "rule": " ".join(rules)}
    user, from_passages = texts.CLASSIFY_USER, texts.CLASSIFY_PASSAGES_USER
    return (_reading_step("classify", fields, texts.CLASSIFY_SYSTEM, user, from_passages, schema=schema, values=values),)


def _labels(fields: Fields) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, entry in enumerate(fields.entries("labels", most=_MOST_LABELS), start=1):
        told = {"name": entry} if isinstance(entry, str) else entry
        is_good = isinstance(told, dict) and set(told) <= {"name", "description"} and all(isinstance(one, str) for one in told.values())
        name = " ".join(told.get("name", "").split()) if is_good else ""
        if not name or len(name) > _LABEL_LENGTH or "\0" in name:
            example = '"invoice", or {"name": "invoice", "description": "asks for money"}'
            raise fields.refuse("labels", f"number {number} must be a text of at most {_LABEL_LENGTH} characters, or an object: {example}.")
        if name in found:
            raise fields.refuse("labels", f"has {name!r} twice; keep one.")
        found[name] = " ".join(told.get("description", "").split())
    if len(found) < 2:
        raise fields.refuse("labels", 'must be a list of at least two, like ["invoice", "letter", "other"].')
    return found


def _label_schema(labels: list[str], *, several: bool, reason: bool, confidence: bool) -> dict[str, Any]:
    """What comes first is written first: a reason given before the label decides it, one given after defends it."""
    one = {"type": "string", "enum": labels}
    properties: dict[str, Any] = {"reason": {"type": "string"}} if reason else {}
    properties |= {"labels": {"type": "array", "items": one}} if several else {"label": one}
    properties |= {"confidence": {"type": "number", "minimum": 0, "maximum": 1}} if confidence else {}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _summarise(fields: Fields, _: FindPrompt) -> tuple[Step, ...]:
    model, parameters = _model(fields), fields.mapping("parameters")
    language = fields.text("language", "the language of the text", most=100)
    own = _instructions(fields)
    words = fields.whole("words", 150, least=10, most=5000)
    spoken = {"language": language}
    return (
        Step(
            "map",
            Each.PART,
            texts.MAP_USER,
            model,
            system=texts.with_own(texts.MAP_SYSTEM, own),
            values=_values(spoken, own),
            parameters=parameters,
            part_tokens=fields.whole("part_tokens", 2000, least=100, most=100_000),
        ),
        Step(
            "reduce",
            Each.DOCUMENT,
            texts.REDUCE_USER,
            model,
            system=texts.with_own(texts.REDUCE_SYSTEM, own),
            after=("map",),
            values=_values({**spoken, "words": str(words)}, own),
            parameters=parameters,
            group=fields.whole("group", 10, least=2, most=100),
        ),
    )


def _ask(fields: Fields, _: FindPrompt) -> tuple[Step, ...]:
    own = _instructions(fields)
    question = fields.text("question", most=_MOST_INSTRUCTIONS)
    query = fields.text("query", "", most=_MOST_INSTRUCTIONS)
    step = Step(
        "answer",
        Each(fields.choice("each", (Each.DOCUMENT, Each.JOB), Each.DOCUMENT)),
        texts.ASK_USER,
        _model(fields),
        system=texts.with_own(texts.ASK_SYSTEM, own),
        values=_values({"question": question, **({"query": query} if query else {})}, own),
        parameters=fields.mapping("parameters"),
        query="{{ query }}" if query else "{{ question }}",
        passages=fields.whole("passages", 8, least=1, most=MOST_PASSAGES),
        window_tokens=fields.whole("window_tokens", 0, least=0, most=MOST_WINDOW_TOKENS),
    )
    return (step,)


def _custom(fields: Fields, find_prompt: FindPrompt) -> tuple[Step, ...]:
    return (own_prompt(fields, find_prompt, name="answer", each=Each(fields.choice("each", (Each.DOCUMENT, Each.JOB), Each.DOCUMENT))),)


def _reading_step(
    name: str,
    fields: Fields,
    system: str,
    user: str,
    from_passages: str,
    *,
    schema: Mapping[str, Any],
    values: Mapping[str, str] | None = None,
) -> Step:
    """One answer for each document: from its whole text, or from the passages that are about `query`."""
    own = _instructions(fields)
    query = fields.text("query", "", most=_MOST_INSTRUCTIONS)
    passages = fields.whole("passages", 8 if query else 0, least=1 if query else 0, most=MOST_PASSAGES)
    if passages and not query:
        raise fields.refuse("query", "is missing: what are the passages to be about? Without passages the whole text is read.")
    return Step(
        name,
        Each.DOCUMENT,
        from_passages if passages else user,
        _model(fields),
        system=texts.with_own(system, own),
        values=_values({**(values or {}), **({"query": query} if query else {})}, own),
        parameters=fields.mapping("parameters"),
        output_schema=schema,
        query="{{ query }}" if query else "",
        passages=passages,
        window_tokens=fields.whole("window_tokens", 0, least=0, most=MOST_WINDOW_TOKENS),
    )


def _values(values: Mapping[str, str], own: str) -> dict[str, str]:
    return {**values, **({"instructions": own} if own else {})}


def _model(fields: Fields) -> str:
    return fields.text("model", most=_MODEL_LENGTH).strip()


def _instructions(fields: Fields) -> str:
    return fields.text("instructions", "", most=_MOST_INSTRUCTIONS).strip()


BUILT_IN: Mapping[str, Build] = {"extract": _extract, "classify": _classify, "summarise": _summarise, "ask": _ask, "custom": _custom}
