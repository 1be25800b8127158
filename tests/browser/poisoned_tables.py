"""Rows in which every text that is not one of our own words is a payload, whichever door it came by."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import orjson
from django.apps import apps
from django.db import connection, models
from django.db.models import F, Value
from django.db.models.functions import Concat

from apps.accounts.models import Workspace
from apps.conversations.models import Conversation, Profile, Turn
from apps.jobs.domain.recipe import Each, Plan, Step
from apps.traces.domain.bodies import make_body, open_body
from apps.traces.models import Body
from tests.accounts.test_admin_isolation import make_world
from tests.browser.payloads import PAYLOADS
from tests.factories.conversations import make_conversation, make_summary, make_turn
from tests.factories.knowledge import make_collection, make_document, make_snapshot
from tests.factories.prompts import make_prompt, make_version
from tests.factories.recipes import make_document_job, make_recipe

# Words of our own, which no door lets anybody choose; and rows whose texts have a form of their own, born with payloads.
_OURS = {"time_zone", "storage_key", "password", "kind", "lane", "status", "state", "unit", "scope", "period", "path", "snapshot_id"}
_BORN_SO = {"jobs.Recipe", "prompts.PromptVersion"}
_AT_ONCE = 6
_ROWS = 3
# What a body must keep to be shown as what it is.
_KEPT = {"role", "object", "type", "finish_reason", "chunk"}


def make_poisoned_world() -> None:
    """A row of every model that has a page, and of all that belong to jobs of documents; their texts, and those of bodies, replaced."""
    make_world()
    workspace = Workspace.objects.get(name="canary-workspace")
    for number in range(_ROWS):
        texts = _some(number * _AT_ONCE)
        steps = tuple(Step(text, Each.DOCUMENT, "\n".join(PAYLOADS), text) for text in texts)
        make_recipe(workspace, name=texts[0], declared=orjson.dumps({"steps": texts}).decode(), plan=Plan(steps))
    prompt = make_prompt(workspace, name="said")
    said = "\n".join(text for text in PAYLOADS if "{{" not in text)
    for is_published in (True, False):
        make_version(prompt, system=said, user=said, is_published=is_published)
    make_document_job(workspace)
    talked = _make_talk(workspace)
    numbers = count()
    for model in apps.get_models():
        if model.__module__.startswith("apps.") and model._meta.label not in _BORN_SO:
            with _changeable(model._meta.db_table):
                for row in model._default_manager.all():
                    _poison(row, numbers)
    for body in Body.objects.all():
        content = make_body(body.workspace_id, _poisoned_content(open_body(bytes(body.content)))).content
        Body.objects.filter(pk=body.pk).update(content=content)
    # It cites what it was given, and something is remembered of who speaks.
    Turn.objects.filter(conversation=talked).update(answer=Concat(F("answer"), Value(" [1]")))
    talked.refresh_from_db()
    Profile.objects.filter(workspace=workspace).update(end_user=talked.end_user)


def _make_talk(workspace: Workspace) -> Conversation:
    """A conversation with all that its page can show."""
    collection = make_collection(workspace, name="cited")
    make_document("Text.", collection=collection)
    talked = make_conversation(workspace, collection_id=collection.pk)
    results = [{"role": "tool", "tool_call_id": "a", "content": "b"}]
    calls = [{"id": "a", "type": "function", "function": {"name": "b", "arguments": "c"}}]
    make_turn(talked, snapshot_id=make_snapshot(collection).pk, messages=results, tool_calls=calls)
    make_turn(talked, state="failed", hash=None, error_code="a")
    make_summary(talked, text="a")
    return talked


@contextmanager
def _changeable(table: str) -> Iterator[None]:
    """Some tables refuse changes: what stands there came in with its row."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def _some(start: int) -> list[str]:
    return [PAYLOADS[(start + step) % len(PAYLOADS)] for step in range(_AT_ONCE)]


def _poison(row: models.Model, numbers: Iterator[int]) -> None:
    values: dict[str, Any] = {}
    for field in row._meta.concrete_fields:
        if field.choices or field.is_relation or field.primary_key or field.name in _OURS:
            continue
        texts = _some(next(numbers))
        if isinstance(field, models.JSONField):
            told = getattr(row, field.name)
            values[field.name] = _poisoned(told) if told or isinstance(told, list) else dict(zip(texts, texts, strict=True))
        elif isinstance(field, models.TextField) and not hasattr(field, "base_field"):
            # Some hold JSON of our own making, whose form stays.
            values[field.name] = _poisoned_content(str(getattr(row, field.name)).encode()).decode()
        elif isinstance(field, models.CharField) and not hasattr(field, "base_field"):
            # Of texts that must differ each begins with another payload.
            values[field.name] = " ".join(texts)[: field.max_length or None]
    if values:
        type(row)._default_manager.filter(pk=row.pk).update(**values)


def _poisoned_content(content: bytes) -> bytes:
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        found = None
    return orjson.dumps(_poisoned(found)) if isinstance(found, dict | list) else "\n".join(PAYLOADS).encode()


def _poisoned(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _poisoned(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_poisoned(inner, name) for inner in value]
    return "\n".join(PAYLOADS) if isinstance(value, str) and name not in _KEPT else value


def rows_of(model: Any, most: int) -> list[Any]:
    """The newest rows of a model, as the pages of single rows are to show them."""
    return list(model._default_manager.order_by("-pk").values_list("pk", flat=True)[:most])
