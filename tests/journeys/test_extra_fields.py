"""What is none of a caller's business can't be set by naming it: every column of every table, as one more field of every request."""

import json
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, models
from django.test import Client

from tests.factories.accounts import make_workspace
from tests.faults import figure
from tests.jobs.calls.callers import make_callable, make_secret
from tests.journeys.examples import example_model, prepare

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(1200)]

WORD = "canary-of-an-extra-field"
NUMBER = 918273645
MOMENT = "2001-02-03T04:05:06Z"
# The bodies of single calls, turns among them, belong to the caller, and go on to the provider as they are.
CALLS = {"/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/api/conversations/{conversation_id}/turns"}


def marker(column: Any, stranger: UUID) -> Any:
    """A value that the column would take, and that can be found wherever it was written; None: none can be."""
    if column.is_relation or isinstance(column, models.UUIDField):
        return str(stranger)
    if isinstance(column, models.DateTimeField | models.DateField):
        return MOMENT
    if isinstance(column, models.IntegerField | models.DecimalField | models.FloatField):
        return NUMBER
    if isinstance(column, models.JSONField):
        return {WORD: WORD}
    return WORD if isinstance(column, models.CharField | models.TextField) else None


def extra_fields(stranger: UUID) -> dict[str, Any]:
    columns = [column for table in apps.get_models() for column in table._meta.concrete_fields]
    names = [(name, marker(column, stranger)) for column in columns for name in {column.name, column.attname}]
    return {name: value for name, value in names if value is not None}


def declared(schema: dict[str, Any], content: dict[str, Any]) -> set[str]:
    """The fields that the operation itself takes."""
    part = content["schema"]
    if "$ref" in part:
        part = schema["components"]["schemas"][part["$ref"].rpartition("/")[2]]
    return {*part.get("properties", {}), *content["example"]}


def marked(stranger: UUID) -> dict[str, int]:
    """How many rows of each table hold one of the markers."""
    found = {}
    with connection.cursor() as cursor:
        for table in apps.get_models():
            name = connection.ops.quote_name(table._meta.db_table)
            signs = f"{WORD}|{NUMBER}|2001-02-03|{stranger}"
            cursor.execute(f"SELECT count(*) FROM {name} AS t WHERE t::text ~ %s", [signs])
            found[table._meta.label] = cursor.fetchone()[0]
    return found


def send(client: Client, path: str, method: str, media: str, body: dict[str, Any]) -> Any:
    if media == "multipart/form-data":
        field = "file" if "file" in body else "data"
        content = SimpleUploadedFile("in.jsonl", str(body[field]).encode())
        texts = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in body.items()}
        return client.post(path, {**texts, field: content})
    return client.generic(method.upper(), path, json.dumps(body), content_type=media)


def test_no_column_is_written_by_naming_it() -> None:
    stranger = make_workspace("stranger").id
    client = Client(headers={"Authorization": f"Bearer {make_secret()}"}, raise_request_exception=False)
    schema = client.get("/api/schema/", headers={"Accept": "application/json"}).json()
    make_callable(example_model(schema), base_url="http://127.0.0.1:9/v1")
    extra = extra_fields(stranger)
    taken, refused, wrong = [], [], []
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            for media, content in operation.get("requestBody", {}).get("content", {}).items() if path not in CALLS else ():
                name = operation["operationId"]
                prepare(schema, name)
                real = path
                for parameter in operation.get("parameters", ()):
                    real = real.replace("{" + parameter["name"] + "}", str(parameter.get("example", "")))
                before = marked(stranger)
                strange = {field: value for field, value in extra.items() if field not in declared(schema, content)}
                answer = send(client, real, method, media, strange | content["example"])
                (taken if answer.status_code < 300 else refused).append(name)
                written = [table for table, count in marked(stranger).items() if count != before[table]]
                if written or answer.status_code not in {200, 201, 400} or WORD in answer.content.decode():
                    wrong.append((name, answer.status_code, written))
    figure(
        "F91", f"{len(taken) + len(refused)} operations x {len(extra)} fields: taken {len(taken)}, refused {refused}, written {len(wrong)}"
    )
    assert wrong == []
    assert len(extra) > 400
    assert len(taken) > 30
    assert len(taken) + len(refused) > 35
