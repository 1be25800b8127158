"""A moment in a query string: whatever its offset from UTC, it comes out in UTC, or is refused with its parameter's name."""

from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django_filters import rest_framework as filters
from django_filters.fields import IsoDateTimeField


class _MomentField(IsoDateTimeField):  # type: ignore[misc]  # django-filter ships no types
    """Postgres takes offsets of less than 16 hours, and Python years from 1 to 9999 in UTC."""

    def to_python(self, value: Any) -> datetime | None:
        moment: datetime | None = super().to_python(value)
        try:
            return moment and moment.astimezone(UTC)
        except OverflowError as error:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from error


class MomentFilter(filters.IsoDateTimeFilter):  # type: ignore[misc]  # django-filter ships no types
    """Takes ISO 8601."""

    field_class = _MomentField
