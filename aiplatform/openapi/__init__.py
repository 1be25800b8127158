"""The schema of both APIs as a whole: what REST framework's views can't tell of themselves is added here."""

from aiplatform.openapi.complete import complete_schema

__all__ = ["complete_schema"]
