"""What the values of a dimension are called where people read them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from apps.spend.domain.spending import Dimension

_NONE = {
    "end_user": "no end user",
    "feature": "no feature",
    "api_key": "no API key (back office)",
    "job": "no job",
    "provider": "no provider",
    "model": "no model",
    "upstream_model": "no model",
    "prompt_version": "no prompt version",
}
_GONE = {
    "workspace": "a workspace",
    "api_key": "an API key",
    "job": "a job",
    "model": "a model",
    "provider": "a provider",
}
_ADMIN_PAGES = {"workspace": "accounts_workspace", "api_key": "accounts_apikey", "job": "jobs_job"}
_FOR_SUPERUSERS = {"model": "providers_model", "provider": "providers_provider"}


@dataclass(frozen=True, slots=True)
class Names:
    """By dimension, the names of those values that are rows and that the reader may see."""

    known: Mapping[str, Mapping[UUID, str]] = field(default_factory=dict)

    def of(self, dimension: str, value: UUID | str | None) -> str:
        """Its name; of a row that is gone, or another's, the end of its id."""
        if value is None or value == "":
            return _NONE.get(dimension, "none")
        if not isinstance(value, UUID):
            return value
        name = self.known.get(dimension, {}).get(value)
        return name or f"{_GONE.get(dimension, 'a row')} that is gone (…{value.hex[-8:]})"

    def page_of(self, dimension: str, value: UUID | str | None, *, is_superuser: bool) -> str:
        """The URL name of the row's own page; empty when there is none for this reader."""
        if not isinstance(value, UUID) or value not in self.known.get(dimension, {}):
            return ""
        pages = _ADMIN_PAGES | (_FOR_SUPERUSERS if is_superuser else {})
        return f"admin:{pages[dimension]}_change" if dimension in pages else ""


def value_of(dimension: str, text: str) -> UUID | str | None:
    """A filter's value as a sum has it."""
    if not Dimension(dimension).is_id:
        return text
    return UUID(text) if text else None
