"""A field of answers that holds a sum of money."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers


@extend_schema_field({"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,12})?$"})
class SumField(serializers.DecimalField):
    """US dollars as a text. One row has at most eight digits before the point; of what many add up to nobody knows how many."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=None, decimal_places=12, **options)
