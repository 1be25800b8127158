"""Fields of requests that take their own kind alone: REST framework would make a text of a number, and true of "on"."""

from typing import Any

from rest_framework import serializers


class TextField(serializers.CharField):
    """A text, not empty."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_length=1, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class TruthField(serializers.BooleanField):
    """True or false."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data
