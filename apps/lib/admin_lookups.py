"""What an address of the back office may ask a list for."""

from contextlib import suppress
from typing import Any

from django.contrib.admin.utils import prepare_lookup_value
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import EmptyResultSet, FieldDoesNotExist, FieldError, ValidationError
from django.db.models import BinaryField, JSONField, Model


def is_comparable(model: type[Model], lookup: str, value: Any) -> bool:
    """Whether the column that `lookup` names takes such a value; True of a column that there is not, which Django tells by itself."""
    with suppress(FieldDoesNotExist):
        if isinstance(model._meta.get_field(lookup.partition("__")[0]), ArrayField | BinaryField | JSONField):  # noqa: SLF001 -- Django's public way to a model's fields
            return False
    try:
        with suppress(EmptyResultSet, FieldError):
            model._base_manager.filter(**{lookup: prepare_lookup_value(lookup, value)}).query.sql_with_params()  # noqa: SLF001 -- how Django calls it
    except (TypeError, ValueError, ValidationError):
        return False
    return "\x00" not in str(value)
