"""Prompts and their versions."""

from django.urls import path

from apps.prompts.views import PromptArchiveView, PromptDraftView, PromptPublishView, PromptsView, PromptVersionsView, PromptView

urlpatterns = [
    path("api/prompts", PromptsView.as_view(), name="prompts"),
    path("api/prompts/<str:prompt_id>", PromptView.as_view(), name="prompt"),
    path("api/prompts/<str:prompt_id>/versions", PromptVersionsView.as_view(), name="prompt-versions"),
    path("api/prompts/<str:prompt_id>/draft", PromptDraftView.as_view(), name="prompt-draft"),
    path("api/prompts/<str:prompt_id>/publish", PromptPublishView.as_view(), name="prompt-publish"),
    path("api/prompts/<str:prompt_id>/archive", PromptArchiveView.as_view(), name="prompt-archive"),
]
