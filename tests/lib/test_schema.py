"""The API's schema is served, valid, and complete without a warning."""

import io
import re
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import Client
from django.urls import get_resolver

from tests.accounts.test_foreign_ids import all_routes

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


def operations(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(path, operation) for path, methods in schema["paths"].items() for operation in methods.values()]


@pytest.mark.django_db
def test_every_route_of_both_apis_is_in_the_schema() -> None:
    schema = Client().get("/api/schema/", headers={"Accept": "application/json"}).json()
    routes = {route for route in all_routes(get_resolver()) if route.startswith(("v1/", "api/"))}
    told = {"/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route) for route in routes - {"api/schema/", "api/docs/"}}
    assert told == set(schema["paths"])
    names = [operation["operationId"] for _, operation in operations(schema)]
    assert len(set(names)) == len(names)


@pytest.mark.django_db
def test_every_operation_tells_its_errors_and_has_its_examples() -> None:
    schema = Client().get("/api/schema/", headers={"Accept": "application/json"}).json()
    for path, operation in operations(schema):
        media = "application/json" if path.startswith("/v1") else "application/problem+json"
        for status in ("400", "401", "403"):
            assert set(operation["responses"][status]["content"]) == {media}, (path, status)
        assert all("example" in parameter for parameter in operation.get("parameters", ()) if parameter["in"] == "path"), path
        assert all("example" in content for content in operation.get("requestBody", {}).get("content", {}).values()), path
        for response in operation["responses"].values():
            known = {other["operationId"] for _, other in operations(schema)}
            assert {link["operationId"] for link in response.get("links", {}).values()} <= known


@pytest.mark.django_db
def test_the_docs_page_keeps_to_the_policy() -> None:
    answer = Client().get("/api/docs/")
    page = answer.content.decode()
    assert "unsafe-inline" not in answer.headers["Content-Security-Policy"]
    assert re.findall(r"<script(?! src=)|<style| style=| on\w+=", page) == []
    script = re.findall(r'<script src="([^"]+)"', page)[-1].replace("&amp;", "&")
    told = Client().get(script)
    assert told.headers["Content-Type"].startswith("application/javascript")
    assert b"/api/schema/" in told.content
    for link in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
        assert finders.find(link.removeprefix("/static/")), link
