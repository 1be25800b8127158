"""The API's schema is served, valid, and complete without a warning."""

import io

import pytest
from django.core.management import call_command
from django.test import Client

EXPECTED = {"/v1/files", "/v1/files/{file_id}", "/v1/files/{file_id}/content", "/v1/batches", "/v1/batches/{batch_id}/cancel", "/v1/models"}


def test_the_schema_is_valid_and_made_without_a_warning() -> None:
    call_command("spectacular", "--fail-on-warn", "--validate", stdout=io.StringIO())


@pytest.mark.django_db
def test_anybody_can_read_the_schema_and_it_names_what_there_is() -> None:
    schema = Client().get("/api/schema/", headers={"Accept": "application/json"}).json()
    assert set(schema["paths"]) >= EXPECTED
    assert schema["components"]["securitySchemes"] == {"apiKey": {"type": "http", "scheme": "bearer"}}
    form = schema["paths"]["/v1/files"]["post"]["requestBody"]["content"]
    assert set(form) == {"multipart/form-data"}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            assert operation["operationId"], (path, method)
            assert operation["security"] == [{"apiKey": []}], (path, method)


@pytest.mark.django_db
def test_it_is_yaml_for_those_who_ask_for_nothing() -> None:
    answer = Client().get("/api/schema/")
    assert answer.headers["Content-Type"].startswith("application/vnd.oai.openapi")
    assert answer.content.startswith(b"openapi: 3.")
