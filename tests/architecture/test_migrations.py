"""Migrations only expand, so that the release before runs on against the new schema; one that contracts says since when it may."""

import re

import pytest
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ModelState, ProjectState
from pgvector.django import VectorField

from apps.lib.resumed_migrations import AddColumn, BuildIndex, DropIndex
from tests.architecture.expanding import released, what_is_taken
from tests.architecture.source import ROOT

# From before the first release: nothing older ever ran against it.
_BEFORE_THE_FIRST_RELEASE = {("jobs", "0002_isolating_pumps")}


def own_migrations() -> list[tuple[migrations.Migration, ProjectState]]:
    """Each of ours, with the models as they are before it."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    found = []
    for app, name in loader.graph._generate_plan(loader.graph.leaf_nodes(), at_end=True):
        migration = loader.graph.nodes[app, name]
        if type(migration).__module__.startswith("apps."):
            found.append((migration, loader.project_state((app, name), at_end=False)))
    return found


def test_every_migration_expands_or_names_the_release_since_which_nobody_needs_what_it_takes() -> None:
    ours = own_migrations()
    assert len(ours) >= 25
    releases = released((ROOT / "CHANGELOG.md").read_text())
    refused = []
    for migration, before in ours:
        unneeded_since = getattr(migration, "unneeded_since", None)
        if unneeded_since in releases or (migration.app_label, migration.name) in _BEFORE_THE_FIRST_RELEASE:
            continue
        if unneeded_since is not None:
            refused.append(f"{migration.app_label}.{migration.name}: {unneeded_since} is no release in CHANGELOG.md")
        refused += what_is_taken(migration, before)
    assert not refused, "\n".join(["These break workers of the release before (CONTRIBUTING.md, Migrations):", *refused])


def test_what_is_no_transaction_can_run_again_after_a_break() -> None:
    """Columns that one statement adds, indexes that are looked for first, and settings of a table, which may be made twice."""
    parted = [migration for migration, _ in own_migrations() if not migration.atomic]
    assert len(parted) >= 17
    refused = [
        f"{migration.app_label}.{migration.name}: {operation.describe()}"
        for migration in parted
        for operation in migration.operations
        if not (
            isinstance(operation, BuildIndex | DropIndex)
            or (
                isinstance(operation, AddColumn)
                and not (operation.field.remote_field or operation.field.db_index or operation.field.unique)
            )
            or (isinstance(operation, migrations.RunSQL) and re.fullmatch(r"ALTER TABLE \w+ SET \([^;]*\)", str(operation.sql)))
        )
    ]
    assert not refused, "\n".join(["Broken off after these, a migration can't run again (apps/lib/resumed_migrations.py):", *refused])


def state() -> ProjectState:
    found = ProjectState()
    fields: list[tuple[str, models.Field]] = [
        ("id", models.UUIDField(primary_key=True)),
        ("name", models.CharField(max_length=20, db_default="")),
        ("note", models.TextField(null=True)),
        ("size", models.IntegerField()),
        ("price", models.DecimalField(max_digits=20, decimal_places=12)),
        ("sense", VectorField(dimensions=3)),
    ]
    found.add_model(ModelState("jobs", "Thing", fields))
    return found


def judged(*operations: object) -> list[str]:
    migration = migrations.Migration("0099_made_up", "jobs")
    migration.operations = list(operations)
    return what_is_taken(migration, state())


def added(field: models.Field) -> object:
    return migrations.AddField("thing", "more", field)


def altered(name: str, field: models.Field) -> object:
    return migrations.AlterField("thing", name, field)


_UNIQUE = models.UniqueConstraint(fields=["name"], name="thing_name")
_NEW_TABLE = migrations.CreateModel("Other", [("id", models.UUIDField(primary_key=True)), ("name", models.CharField(max_length=9))])


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        (migrations.RemoveField("thing", "note"), "removes a column"),
        (migrations.RenameField("thing", "note", "remark"), "renames a column"),
        (migrations.DeleteModel("Thing"), "removes a table"),
        (migrations.RenameModel("Thing", "Other"), "renames a table"),
        (migrations.AlterModelTable("thing", "elsewhere"), "renames a table"),
        (migrations.AddConstraint("thing", _UNIQUE), "asks more"),
        (migrations.AlterUniqueTogether("thing", {("name", "size")}), "asks more"),
        (migrations.RunPython(migrations.RunPython.noop), "runs code"),
        (migrations.RunSQL("ALTER TABLE jobs_thing DROP COLUMN note"), "SQL says DROP"),
        (migrations.RunSQL([("ALTER TABLE jobs_thing ALTER note SET  NOT NULL", None)]), "SQL says SET"),
        (migrations.RunSQL("alter table jobs_thing alter column size type bigint"), "SQL says ALTER"),
        (migrations.SeparateDatabaseAndState([migrations.RemoveField("thing", "note")]), "removes a column"),
        (added(models.BooleanField(default=False)), "no value for it"),
        (added(models.ForeignKey("jobs.Thing", models.CASCADE)), "no value for it"),
        (added(models.CharField(max_length=9, db_default="", unique=True)), "same value"),
        (altered("note", models.TextField(db_default="")), "null is refused"),
        (altered("name", models.CharField(max_length=20, db_default="", unique=True)), "unique"),
        (altered("name", models.CharField(max_length=20)), "default in the database goes"),
        (altered("name", models.CharField(max_length=10, db_default="")), "becomes varchar(10)"),
        (altered("name", models.CharField(max_length=20, db_default="", db_column="label")), "another name"),
        (altered("size", models.BigIntegerField()), "becomes bigint"),
        (altered("sense", VectorField(dimensions=4)), "becomes vector(4)"),
        (altered("price", models.DecimalField(max_digits=18, decimal_places=12)), "becomes numeric(18, 12)"),
        (altered("price", models.DecimalField(max_digits=24, decimal_places=10)), "becomes numeric(24, 10)"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_takes_something_away_is_refused(operation: object, why: str) -> None:
    (said,) = judged(operation)
    assert why in said
    assert said.startswith("jobs.0099_made_up: ")


@pytest.mark.parametrize(
    "operation",
    [
        added(models.TextField(null=True)),
        added(models.BooleanField(db_default=False, default=False)),
        altered("name", models.CharField(max_length=40, db_default="", help_text="Longer.")),
        altered("name", models.TextField(db_default="")),
        altered("price", models.DecimalField(max_digits=24, decimal_places=12)),
        altered("size", models.IntegerField(null=True)),
        altered("sense", VectorField(null=True)),
        altered("size", models.IntegerField(choices=[(1, "one")])),
        migrations.AddIndex("thing", models.Index(fields=["name"], name="thing_by_name")),
        migrations.RunSQL("ALTER TABLE jobs_thing SET (fillfactor = 70)", "ALTER TABLE jobs_thing RESET (fillfactor)"),
        _NEW_TABLE,
    ],
)
def test_what_only_adds_is_taken(operation: object) -> None:
    assert judged(operation) == []


def test_a_table_made_by_the_same_migration_may_get_anything() -> None:
    strict = migrations.AddField("other", "size", models.IntegerField(default=0))
    assert judged(_NEW_TABLE, strict, migrations.AddConstraint("other", models.UniqueConstraint(fields=["name"], name="other_name"))) == []


def test_only_what_was_released_counts_as_a_release() -> None:
    assert released("# Changelog\n\n## 0.3.0 (unreleased)\n\n## 0.2.0\n\n## 0.1.0 (2026-11-30)\n") == {"0.2.0", "0.1.0"}
