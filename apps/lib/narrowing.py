"""What lists of the native API are narrowed by. A filter that says nothing is refused: it would quietly give everything."""

from typing import Any

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema_field
from rest_framework.request import Request

from apps.lib.http_errors import ApiError


class Narrowing(filters.DjangoFilterBackend):  # type: ignore[misc]  # django-filter ships no types
    """The filter backend of such lists."""

    def get_filterset_kwargs(self, request: Request, queryset: Any, view: Any) -> dict[str, Any]:
        """What django-filter asks for; here the names of the view's filters are known."""
        for name in self.get_filterset_class(view, queryset).base_filters:
            if request.query_params.get(name) == "":
                raise ApiError(400, "invalid_value", f"'{name}' is empty: give it a value, or leave it out.", param=name)
        wanted: dict[str, Any] = super().get_filterset_kwargs(request, queryset, view)
        return wanted


def text_filter(*, longest: int, label: str = "") -> filters.CharFilter:
    """By a whole text."""
    shape = {"type": "string", "minLength": 1, "maxLength": longest} | ({"description": label} if label else {})
    return extend_schema_field(shape)(filters.CharFilter(max_length=longest, label=label))
