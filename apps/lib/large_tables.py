"""Admin lists of tables with millions of rows: no count, no DISTINCT and no text search over all of them."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from django.contrib.admin import AllValuesFieldListFilter, ShowFacets
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from apps.lib.ids import find_uuid
from apps.lib.keyset_lists import COUNTED_ROWS, KeysetChangeList, Source, field_of, only

_SAMPLED_ROWS = 500
# Whoever belongs to more workspaces than this sees so much of the table that it is read as a whole.
_MOST_PARTITIONS = 50


class AtLeast(int):
    """A number that stands for itself and everything above it."""

    def __str__(self) -> str:
        return f"{int(self):,}+"


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # rows of any kind
    """For Django's own choosers of rows: counts to 10,000 and no further."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        number: int = rows.order_by()[: COUNTED_ROWS + 1].count()
        return number if number <= COUNTED_ROWS else AtLeast(COUNTED_ROWS)


class RecentValuesFilter(AllValuesFieldListFilter):
    """Offers the values that the newest rows have, instead of looking for all there are."""

    def __init__(self, field: Any, request: HttpRequest, params: Any, model: Any, model_admin: Any, *, field_path: str) -> None:
        super().__init__(field, request, params, model, model_admin, field_path)
        newest = {getattr(row, field.attname) for row in model_admin.newest_rows(request)}
        self.lookup_choices = sorted(value for value in newest if value not in {None, ""})  # type: ignore[assignment]  # only iterated


class LargeTable:
    """For a ModelAdmin: every list and search answers by an index, newest row first.

    Of its indexes it says: `id_fields` and `text_fields` have one each, and are searched by a whole value; `paged_by` are followed by
    the id in theirs, so that one value's rows come in order; `quick_filters` has the values that have an index to themselves. What else
    is filtered by, or searched for (`scanned_fields`), is looked for row by row, so many rows a page.
    """

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_per_page = 50
    ordering = ("-pk",)
    sortable_by: tuple[str, ...] = ()
    id_fields: tuple[str, ...] = ("pk",)
    text_fields: tuple[str, ...] = ()
    scanned_fields: tuple[str, ...] = ()
    paged_by: tuple[str, ...] = ("workspace",)
    quick_filters: ClassVar[Mapping[str, frozenset[str]]] = {}

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[KeysetChangeList]:  # noqa: ARG002 -- Django's signature
        return KeysetChangeList

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:  # noqa: ARG002 -- Django's signature
        """Only tells Django that there is a search."""
        return self.id_fields + self.text_fields + self.scanned_fields

    def get_search_results(self, request: HttpRequest, queryset: "QuerySet[Any]", search_term: str) -> "tuple[QuerySet[Any], bool]":
        """An id, with or without its prefix, is looked up in `id_fields`; another text must be a whole text of a row."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if key := find_uuid(term):
            # One field at a time: an OR of two indexes can't be read in order.
            fields = [name for name in self.id_fields if queryset.order_by().filter(**{name: key}).exists()]
            if len(fields) == 1 and field_of(fields[0]) in self.paged_by:
                request.__dict__["searched_by"] = (fields[0], [key])
                return queryset.filter(**only(fields[0], key)), False
            found: dict[str, Any] = dict.fromkeys(fields, key)
        else:
            found = dict.fromkeys(self.text_fields + self.scanned_fields, term)
        return queryset.filter(Q(*found.items(), _connector=Q.OR)) if found else queryset.none(), False

    def source_of(self, request: HttpRequest, changes: Any) -> Source:
        """How the rows of a list are read: by the index of one of its filters, by each workspace's, or in windows."""
        filters = {field_of(name): list(values) for name, values in changes.get_filters_params().items()}
        term = changes.query.strip()
        by = {f"{name}_id": values[0] for name, values in filters.items() if name in self.paged_by and len(values) == 1}
        is_filtered = len(filters) > len(by)
        is_quick = any(set(values) <= self.quick_filters.get(name, frozenset()) for name, values in filters.items())
        is_looked_up = term and (find_uuid(term) is not None or not self.scanned_fields)
        prefix, partitions = self._workspaces(request)
        if by:
            prefix, value = by.popitem()
            partitions = [self.model._meta.get_field(prefix).to_python(value)]  # type: ignore[attr-defined]  # noqa: SLF001 -- a mixin; how Django calls it
        elif is_quick or is_looked_up:
            prefix, partitions = request.__dict__.get("searched_by", ("", ()))
        is_windowed = not is_quick and not is_looked_up and (bool(term) or is_filtered)
        return Source(changes.queryset, changes.root_queryset, prefix, partitions, is_windowed=is_windowed)

    def newest_rows(self, request: HttpRequest) -> list[Any]:
        """The newest rows that the user sees, with the fields that filters offer; read once for a request."""
        read: dict[Any, list[Any]] = request.__dict__.setdefault("newest_rows", {})
        if self not in read:
            names = [part[0] for part in self.list_filter if isinstance(part, tuple) and part[1] is RecentValuesFilter]  # type: ignore[attr-defined]  # a mixin
            rows = self.get_queryset(request).only(*names)  # type: ignore[attr-defined]  # a mixin
            read[self] = Source(rows, rows, *self._workspaces(request)).first(_SAMPLED_ROWS)
        return read[self]

    def _workspaces(self, request: HttpRequest) -> tuple[str, Sequence[Any]]:
        """The column to read by and its values; none for whoever sees all, and for whoever sees none."""
        if getattr(self, "workspace_path", "") != "workspace":
            # The rows have no such column of their own, and no index that begins with it.
            return "", ()
        ids = self.workspaces_shown(request)
        return ("workspace_id", ids) if ids and len(ids) <= _MOST_PARTITIONS else ("", ())

    def workspaces_shown(self, request: HttpRequest) -> Sequence[Any] | None:
        """The workspaces whose rows the user sees; None for all rows."""
        other: Any = super()
        return other.workspaces_shown(request) if hasattr(other, "workspaces_shown") else None
