"""Find prompts and their versions; and the book that a file's lines are looked up in."""

from typing import Any
from uuid import UUID

from django.db.models import F, QuerySet

from apps.lib.http_errors import ApiError
from apps.lib.ids import parse_public_id
from apps.prompts.domain.book import PromptBook, Standing, no_prompt, no_version
from apps.prompts.domain.content import NAME, PublishedPrompt
from apps.prompts.models import PROMPT_PREFIX, Prompt, PromptVersion, VersionState


def prompts_of(workspace_id: UUID) -> QuerySet[Prompt]:
    """A workspace's prompts."""
    return Prompt.objects.filter(workspace_id=workspace_id)


def versions_of(prompt_id: UUID) -> QuerySet[PromptVersion]:
    """A prompt's versions."""
    return PromptVersion.objects.filter(prompt_id=prompt_id).select_related("prompt")


def find_prompt(*, workspace_id: UUID, name: str) -> Prompt:
    """By its public id or its name; ApiError 404 when there is none, told no differently for another workspace's."""
    key = parse_public_id(PROMPT_PREFIX, name)
    prompts = prompts_of(workspace_id)
    prompt = prompts.filter(id=key).first() if key else None
    if prompt is None and NAME.fullmatch(name):
        prompt = prompts.filter(name=name).first()
    if prompt is None:
        raise no_such_prompt(name)
    return prompt


def find_version(*, workspace_ids: Any, prompt_id: UUID | None, number: int) -> PromptVersion | None:
    """A version of a prompt in one of these workspaces."""
    if prompt_id is None:
        return None
    versions = PromptVersion.objects.select_related("prompt__workspace")
    return versions.filter(prompt_id=prompt_id, prompt__workspace_id__in=workspace_ids, number=number).first()


def find_draft(prompt: Prompt) -> PromptVersion | None:
    """The version that is worked on, when there is one."""
    return versions_of(prompt.id).filter(state=VersionState.DRAFT).first()


def no_such_prompt(name: str) -> ApiError:
    """The refusal for a name that the caller has no prompt for."""
    return ApiError(404, "not_found", f"No such prompt: {name[:100]!r}.")


def no_such_version(name: str, number: int) -> ApiError:
    """The refusal for a number that a prompt has no version of."""
    return ApiError(404, "not_found", f"The prompt {name!r} has no version {number}.")


def open_prompt_book(workspace_id: UUID) -> PromptBook:
    """For the lines of a file."""

    def read_names() -> dict[str, UUID]:
        return dict(prompts_of(workspace_id).values_list("name", "id"))

    def read_prompt(key: UUID) -> PublishedPrompt:
        version = PromptVersion.objects.select_related("prompt").get(id=key)
        return version.as_published(version.prompt.name)

    return PromptBook(read_names, _read_standing, read_prompt)


def find_published(workspace_id: UUID, name: str, number: int | None) -> PublishedPrompt:
    """What a single request means, in one query when it is there; PromptUnknownError says what is wrong with the name or the number."""
    versions = PromptVersion.objects.filter(prompt__workspace_id=workspace_id, prompt__name=name, state=VersionState.PUBLISHED)
    found = versions.filter(number=F("prompt__current_number") if number is None else number).first() if NAME.fullmatch(name) else None
    if found is not None:
        return found.as_published(name)
    prompt = prompts_of(workspace_id).filter(name=name).first() if NAME.fullmatch(name) else None
    if prompt is None:
        raise no_prompt(name)
    known = number is not None and versions_of(prompt.id).filter(number=number).exists()
    raise no_version(name, number, is_known=known)


def _read_standing(prompt_id: UUID) -> Standing:
    rows = list(versions_of(prompt_id).order_by("number").values_list("prompt__current_number", "number", "state", "id"))
    versions = {number: key if state == VersionState.PUBLISHED else None for _, number, state, key in rows}
    return Standing(rows[0][0] if rows else None, versions)
