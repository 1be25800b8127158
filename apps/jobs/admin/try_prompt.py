"""Try a version of a prompt out: fill in its variables, ask, and see answer and cost on the job's page."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse

from apps.accounts.queries import workspaces_for_submitting
from apps.jobs.actions.try_prompt import preview_prompt, try_prompt
from apps.jobs.forms import TryPromptForm
from apps.lib.clock import current_time
from apps.lib.http_errors import ApiError
from apps.lib.ids import find_uuid
from apps.prompts.domain.variables import VariableRefusedError
from apps.prompts.queries import find_version
from apps.providers.queries import list_callable


class TryPromptPages:
    """For the admin of jobs: `try-prompt/?prompt=...&version=3`."""

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.try_prompt)  # type: ignore[attr-defined]  # a mixin
        return [path("try-prompt/", view, name="jobs_job_try"), *super().get_urls()]  # type: ignore[misc]  # a mixin

    def try_prompt(self, request: HttpRequest) -> HttpResponse:
        """The form, and what was asked by it as a job."""
        number = request.GET.get("version", "")
        version = find_version(
            workspace_ids=workspaces_for_submitting(request.user).values("id"),
            prompt_id=find_uuid(request.GET.get("prompt", "")),
            number=int(number) if number.isascii() and number.isdecimal() and len(number) < 10 else 0,
        )
        if version is None:
            raise Http404
        content = version.content
        models = [model.name for model in list_callable()]
        form = TryPromptForm(request.POST or None, variables=content.variables, models=models, model=content.model)
        context: dict[str, Any] = {"title": f"Try {version} out", "version": version, "form": form, "has_models": bool(models)}
        if request.method == "POST" and form.is_valid():
            asked: dict[str, Any] = {
                "workspace_id": version.prompt.workspace_id,
                "prompt": version.as_published(version.prompt.name),
                "model": form.cleaned_data["model"],
                "values": form.values(),
                "now": current_time(),
            }
            try:
                if request.POST.get("step") == "preview":
                    context["preview"] = preview_prompt(**asked)
                    return self._shown(request, context)
                job = try_prompt(created_by_id=UUID(str(request.user.pk)), is_draft=version.state == "draft", **asked)
                messages.success(request, f"{version} is asked. Its answer and what it cost are on this page in a moment.")
                return HttpResponseRedirect(reverse("admin:jobs_job_change", args=[job.pk]))
            except VariableRefusedError as refused:
                form.refuse(refused)
            except ApiError as refused_job:
                form.add_error(None, refused_job.message)
        return self._shown(request, context)

    def _shown(self, request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
        return TemplateResponse(request, "jobs/try_prompt.html", self.admin_site.each_context(request) | context)  # type: ignore[attr-defined]  # a mixin
