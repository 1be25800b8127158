"""`/api/prompts`: make prompts, save their drafts, publish them, and see every version."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.permissions import key_of
from apps.lib.clock import current_time
from apps.lib.cursor_pages import CursorPages
from apps.lib.http_errors import GIVE_UP, ApiError
from apps.prompts import actions
from apps.prompts.domain.content import ContentRefusedError, PromptContent, read_content
from apps.prompts.models import Prompt, PromptVersion
from apps.prompts.queries import find_draft, find_prompt, prompts_of, versions_of
from apps.prompts.serializers import (
    ArchiveRequestSerializer,
    DraftRequestSerializer,
    PromptRequestSerializer,
    PromptSerializer,
    PromptVersionSerializer,
    PublishRequestSerializer,
)


@extend_schema_view(get=extend_schema(operation_id="list_prompts", tags=["prompts"]))
class PromptsView(ListAPIView[Prompt]):
    """The workspace's prompts, newest first."""

    required_scope = "prompts"
    queryset = Prompt.objects.none()
    serializer_class = PromptSerializer
    pagination_class = CursorPages
    page_order = ("-id",)

    def get_queryset(self) -> QuerySet[Prompt]:
        return prompts_of(key_of(self.request).workspace_id)

    @extend_schema(operation_id="create_prompt", tags=["prompts"], request=PromptRequestSerializer, responses={201: PromptSerializer})
    def post(self, request: Request) -> Response:
        """Make a prompt. It can be used once a version of it is published."""
        wanted = PromptRequestSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        made = actions.create_prompt(workspace_id=key_of(request).workspace_id, **wanted.validated_data, now=current_time())
        return Response(PromptSerializer(made).data, status=201)


class PromptView(APIView):
    """One prompt, by its id or its name."""

    required_scope = "prompts"

    @extend_schema(operation_id="retrieve_prompt", tags=["prompts"], responses=PromptSerializer)
    def get(self, request: Request, prompt_id: str) -> Response:
        return Response(PromptSerializer(_prompt(request, prompt_id)).data)


@extend_schema_view(get=extend_schema(operation_id="list_prompt_versions", tags=["prompts"]))
class PromptVersionsView(ListAPIView[PromptVersion]):
    """A prompt's versions, newest first, with what they say."""

    required_scope = "prompts"
    queryset = PromptVersion.objects.none()
    serializer_class = PromptVersionSerializer
    pagination_class = CursorPages
    page_order = ("-number",)

    def get_queryset(self) -> QuerySet[PromptVersion]:
        return versions_of(_prompt(self.request, self.kwargs["prompt_id"]).id)


class PromptDraftView(APIView):
    """The version that is worked on."""

    required_scope = "prompts"

    @extend_schema(operation_id="retrieve_prompt_draft", tags=["prompts"], responses=PromptVersionSerializer)
    def get(self, request: Request, prompt_id: str) -> Response:
        draft = find_draft(prompt := _prompt(request, prompt_id))
        if draft is None:
            raise ApiError(404, "not_found", f"The prompt {prompt.name!r} has no draft.")
        return Response(PromptVersionSerializer(draft).data)

    @extend_schema(operation_id="save_prompt_draft", tags=["prompts"], request=DraftRequestSerializer, responses=PromptVersionSerializer)
    def put(self, request: Request, prompt_id: str) -> Response:
        """Save the draft; when there is none, a new version begins."""
        prompt = _prompt(request, prompt_id)
        wanted = DraftRequestSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        values = dict(wanted.validated_data)
        note = values.pop("note")
        content = _content(values)
        saved = actions.save_draft(workspace_id=prompt.workspace_id, prompt_id=prompt.id, content=content, note=note, now=current_time())
        return Response(PromptVersionSerializer(saved).data)


class PromptPublishView(APIView):
    """Requests that name no version get this one from now on. An older version is published again to roll back."""

    required_scope = "prompts"

    @extend_schema(operation_id="publish_prompt", tags=["prompts"], request=PublishRequestSerializer, responses=PromptVersionSerializer)
    def post(self, request: Request, prompt_id: str) -> Response:
        prompt = _prompt(request, prompt_id)
        wanted = PublishRequestSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        number = wanted.validated_data["version"]
        if number is None:
            number = _draft_number(prompt)
        published = actions.publish_version(workspace_id=prompt.workspace_id, prompt_id=prompt.id, number=number, now=current_time())
        return Response(PromptVersionSerializer(published).data)


class PromptArchiveView(APIView):
    """A version can't be used any more, until it is published again. Of the current one, requests without a number are refused then."""

    required_scope = "prompts"

    @extend_schema(operation_id="archive_prompt", tags=["prompts"], request=ArchiveRequestSerializer, responses=PromptVersionSerializer)
    def post(self, request: Request, prompt_id: str) -> Response:
        prompt = _prompt(request, prompt_id)
        wanted = ArchiveRequestSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        number = wanted.validated_data["version"]
        archived = actions.archive_version(workspace_id=prompt.workspace_id, prompt_id=prompt.id, number=number, now=current_time())
        return Response(PromptVersionSerializer(archived).data)


def _prompt(request: Request, prompt_id: str) -> Prompt:
    return find_prompt(workspace_id=key_of(request).workspace_id, name=prompt_id)


def _draft_number(prompt: Prompt) -> int:
    draft = find_draft(prompt)
    if draft is None:
        raise ApiError(409, "no_draft", f"The prompt {prompt.name!r} has no draft; say which version.", headers=GIVE_UP)
    return draft.number


def _content(values: dict[str, Any]) -> PromptContent:
    try:
        return read_content(**values)
    except ContentRefusedError as refused:
        raise ApiError(400, "invalid_value", refused.message, param=refused.field) from refused
