"""What lists of the native API can be narrowed by."""

from django_filters import rest_framework as filters

from apps.jobs.domain.lifecycle import ItemState, JobStatus, Lane
from apps.jobs.models import DocumentState
from apps.lib.moments import MomentFilter
from apps.lib.narrowing import text_filter


def _words(kind: type[Lane] | type[ItemState] | type[JobStatus]) -> list[tuple[str, str]]:
    return [(member.value, member.value) for member in kind]


class JobFilter(filters.FilterSet):  # type: ignore[misc]  # django-filter ships no types
    """Of jobs."""

    status = filters.ChoiceFilter(choices=_words(JobStatus))
    lane = filters.ChoiceFilter(choices=_words(Lane))
    kind = text_filter(longest=20, label="`batch`, `documents`, `index` (vectors), or `single` for a call that its caller waited for.")
    feature = text_filter(longest=64)
    created_after = MomentFilter(field_name="created_at", lookup_expr="gte", label="At this moment or later.")
    created_before = MomentFilter(field_name="created_at", lookup_expr="lt", label="Before this moment.")


class JobDocumentFilter(filters.FilterSet):  # type: ignore[misc]  # django-filter ships no types
    """Of a job's documents."""

    state = filters.ChoiceFilter(choices=DocumentState.choices)


class ItemFilter(filters.FilterSet):  # type: ignore[misc]  # django-filter ships no types
    """Of a job's items."""

    state = filters.ChoiceFilter(choices=_words(ItemState))
    error_code = text_filter(longest=100, label="For example `context_length_exceeded`.")
    prompt_version = text_filter(longest=64, label="Of the prompt that they were made from.")
