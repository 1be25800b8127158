"""From outside, an app is its domain, actions and queries; tables refer downward only."""

import subprocess
import sys

import grimp
import pytest
from django.apps import apps as django_apps
from django.db.models import ForeignKey

from tests.architecture.source import ROOT

LAYERS = [
    {"ops"},
    {"jobs"},
    {"prompts", "knowledge", "conversations"},
    {"providers"},
    {"spend", "traces"},
    {"webhooks", "files"},
    {"accounts"},
    {"lib"},
]
OPEN_ROOMS = {"domain", "actions", "queries"}
OPEN_TOO = {"accounts": {"authentication", "permissions"}}


def height(app: str) -> int:
    return next(len(LAYERS) - n for n, layer in enumerate(LAYERS) if app in layer)


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("apps", exclude_type_checking_imports=True, cache_dir=None)


def test_the_import_contracts_hold() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_other_apps_are_entered_by_their_open_rooms(graph: grimp.ImportGraph) -> None:
    trespasses = []
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            source, target = importer.split("."), imported.split(".")
            if len(source) < 3 or len(target) < 2 or source[1] == target[1] or target[1] == "lib":
                continue
            room = target[2] if len(target) > 2 else ""
            if room not in OPEN_ROOMS | OPEN_TOO.get(target[1], set()):
                trespasses.append(f"{importer} -> {imported}")
    assert trespasses == []


def test_foreign_keys_point_down_and_references_upward_are_bare_ids() -> None:
    wrong = []
    for model in django_apps.get_models():
        if not model.__module__.startswith("apps."):
            continue
        for field in model._meta.get_fields():
            if isinstance(field, ForeignKey):
                target = field.remote_field.model._meta.app_label
                if target != model._meta.app_label and height(target) >= height(model._meta.app_label):
                    wrong.append(f"{model.__name__}.{field.name} -> {target}")
    assert wrong == []


def test_nothing_is_tied_to_the_record_by_a_foreign_key() -> None:
    traces = {"Run", "Exchange", "Body"}
    tied = [
        f"{model.__name__}.{field.name}"
        for model in django_apps.get_models()
        for field in model._meta.get_fields()
        if isinstance(field, ForeignKey) and field.remote_field.model.__name__ in traces
    ]
    assert tied == []
