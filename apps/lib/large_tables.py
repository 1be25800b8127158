"""Admin lists of tables with millions of rows: no count, no DISTINCT and no text search over all of them."""

from functools import cached_property
from typing import Any

from django.contrib.admin import AllValuesFieldListFilter, ShowFacets
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from apps.lib.ids import find_uuid

COUNTED_ROWS = 10_000
_SAMPLED_ROWS = 1_000


class AtLeast(int):
    """A number that stands for itself and everything above it."""

    def __str__(self) -> str:
        return f"{int(self):,}+"


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # rows of any kind
    """Counts to 10,000 and no further; whoever looks for more searches or filters."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        number: int = rows.order_by()[: COUNTED_ROWS + 1].count()
        return number if number <= COUNTED_ROWS else AtLeast(COUNTED_ROWS)


class RecentValuesFilter(AllValuesFieldListFilter):
    """Offers the values that the newest rows have, instead of looking for all there are."""

    def __init__(self, field: Any, request: HttpRequest, params: Any, model: Any, model_admin: Any, *, field_path: str) -> None:
        super().__init__(field, request, params, model, model_admin, field_path)
        newest = model_admin.get_queryset(request).order_by("-pk").values_list(field.name, flat=True)[:_SAMPLED_ROWS]
        self.lookup_choices = sorted({value for value in newest if value not in {None, ""}})  # type: ignore[assignment]  # only iterated


class LargeTable:
    """For a ModelAdmin: every list and search answers by an index, newest row first."""

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    ordering = ("-pk",)
    id_fields: tuple[str, ...] = ("pk",)
    text_fields: tuple[str, ...] = ()

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:  # noqa: ARG002 -- Django's signature
        """Only tells Django that there is a search."""
        return self.id_fields + self.text_fields

    def get_search_results(self, request: HttpRequest, queryset: "QuerySet[Any]", search_term: str) -> "tuple[QuerySet[Any], bool]":  # noqa: ARG002 -- Django's signature
        """An id, with or without its prefix, is looked up in `id_fields` (indexed ones); another text must be a whole `text_fields`."""
        term = search_term.strip()
        if not term:
            return queryset, False
        key = find_uuid(term)
        found = dict.fromkeys(self.id_fields, key) if key else dict.fromkeys(self.text_fields, term)
        if not found:
            return queryset.none(), False
        return queryset.filter(Q(*found.items(), _connector=Q.OR)), False
