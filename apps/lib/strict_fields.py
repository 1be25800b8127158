"""Fields of requests that take their own kind alone: REST framework would make a text of a number, and true of "on"."""

import re
from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers


class TextField(serializers.CharField):
    """A text, not empty."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_length=1, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class WhyField(TextField):
    """Why something is changed: for whoever reads the audit log. Programs may leave it out."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"required": False, "max_length": 500, "help_text": "Why; it stands in the audit log."} | options)


class BlankTextField(serializers.CharField):
    """A text as it is; it may be empty."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_blank=True, trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class WholeField(serializers.IntegerField):
    """A whole number, and no text or truth that could be read as one."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        return super().to_internal_value(data)


class TruthField(serializers.BooleanField):
    """True or false."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


_USD = r"[0-9]{1,8}(\.[0-9]{1,12})?"


@extend_schema_field({"type": "string", "pattern": f"^{_USD}$"})
class DollarsField(serializers.CharField):
    """US dollars as a text, so that no cent is lost on the way: `12.50`."""

    default_error_messages = {"dollars": "Write US dollars as a text, from 0 to below 100 million with at most 12 places, like '12.50'."}

    def to_internal_value(self, data: Any) -> Decimal:  # type: ignore[override]  # a text in, an amount out
        if not isinstance(data, str) or not re.fullmatch(_USD, data):
            self.fail("dollars")
        return Decimal(data)
