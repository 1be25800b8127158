"""Keyset paging for the native API: `limit` and `cursor` in, `data` and `next_cursor` out; no page is counted, none is skipped."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model, Q
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from apps.lib.cursors import CursorInvalidError, read_cursor, write_cursor
from apps.lib.http_errors import ApiError

_DEFAULT = 20
_MOST = 100


class CursorPages(BasePagination):
    """Pages in the order that the view names as `page_order`: one or two fields, of which the last is unique, all in one direction."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        order: Sequence[str] = getattr(view, "page_order", ("-created_at", "-id"))
        self._name = f"{type(view).__name__}:{','.join(order)}"
        limit = _read_limit(request.query_params.get("limit"))
        if (text := request.query_params.get("cursor")) is not None:
            queryset = queryset.filter(_beyond(order, self._read(queryset.model, order, text)))
        rows = list(queryset.order_by(*order)[: limit + 1])
        self._next = write_cursor(self._name, [_text(rows[limit - 1], name) for name in order]) if len(rows) > limit else None
        return rows[:limit]

    def _read(self, model: type[Model], order: Sequence[str], text: str) -> list[Any]:
        try:
            values = read_cursor(self._name, text)
            return [_field(model, name).to_python(value) for name, value in zip(order, values, strict=True)]
        except (CursorInvalidError, ValidationError, ValueError) as error:
            message = "'cursor' is not one that this list gave out. Send 'next_cursor' of the page before as it came, or leave it out."
            raise ApiError(400, "invalid_cursor", message, param="cursor") from error

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"data": data, "next_cursor": self._next})

    def get_paginated_response_schema(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """For the schema."""
        cursor = {"type": "string", "nullable": True, "description": "Send it as `cursor` for the next page; null: this was the last."}
        return {
            "type": "object",
            "required": ["data", "next_cursor"],
            "properties": {"data": schema, "next_cursor": cursor},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:  # noqa: ARG002 -- the framework's signature
        """For the schema."""
        limit = {"type": "integer", "minimum": 1, "maximum": _MOST, "default": _DEFAULT}
        return [
            {"name": "limit", "in": "query", "required": False, "description": "How many at most.", "schema": limit},
            {
                "name": "cursor",
                "in": "query",
                "required": False,
                "description": "`next_cursor` of the page before, as it came.",
                "schema": {"type": "string", "minLength": 1},
            },
        ]


def _read_limit(text: str | None) -> int:
    if text is None:
        return _DEFAULT
    if not (text.isascii() and text.isdecimal() and len(text) < 5 and 1 <= int(text) <= _MOST):
        raise ApiError(400, "invalid_value", f"'limit' must be a whole number from 1 to {_MOST}.", param="limit")
    return int(text)


def _beyond(order: Sequence[str], values: Sequence[Any]) -> Q:
    """What follows the row with these values; the first field bounds the index that is read."""
    side = "lt" if order[0].startswith("-") else "gt"
    first, *rest = (name.lstrip("-") for name in order)
    beyond = Q(**{f"{first}__{side}": values[0]})
    return Q(**{f"{first}__{side}e": values[0]}) & (beyond | Q(**{f"{rest[0]}__{side}": values[1]})) if rest else beyond


def _field(model: type[Model], name: str) -> Any:
    return model._meta.get_field(name.lstrip("-"))  # noqa: SLF001 -- Django's public way to a model's fields


def _text(row: Any, name: str) -> str:
    value = getattr(row, name.lstrip("-"))
    return value.isoformat() if isinstance(value, datetime) else str(value)
