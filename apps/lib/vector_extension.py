"""Vectors in Postgres: the extension that a migration asks for, with words for those whose database role may not make it."""

from typing import Any

from django.db.models import Func, IntegerField
from django.db.utils import NotSupportedError, OperationalError, ProgrammingError
from pgvector.django import VectorExtension

_HOW = (
    "The database lacks the extension 'vector' (pgvector 0.8 or newer), and the platform could not make it: {error}\n"
    "Let a superuser of the database run, once, in this database: CREATE EXTENSION vector;\n"
    "If the server does not know the extension, install pgvector on it (docker-compose.yml uses an image that has it)."
)


class Vectors(VectorExtension):
    """Makes the extension where it is missing, and leaves it there on the way back: others may use it."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        try:
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        except (ProgrammingError, OperationalError, NotSupportedError) as error:
            raise type(error)(_HOW.format(error=error)) from error

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Nothing: an ordinary role could not bring it back."""


class VectorDims(Func):
    """How many numbers a vector has."""

    function = "vector_dims"
    output_field = IntegerField()
