"""A new job from a file: choose, look at what will be asked and what it may cost, submit; and the answers as a download."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.http import content_disposition_header

from apps.accounts.queries import workspaces_for_submitting
from apps.files.actions import create_file, delete_file, keep_file
from apps.files.queries import FileGoneError, find_present
from apps.jobs.actions.export_results import EXPORT_FORMS, export_results
from apps.jobs.actions.foresee import Intent, foresee
from apps.jobs.actions.preview_upload import Preview, Whose, preview_batch, preview_table
from apps.jobs.actions.submit_batch import find_reusable, submit_batch
from apps.jobs.actions.submit_table import submit_table
from apps.jobs.domain.foresight import Foresight
from apps.jobs.domain.lifecycle import Lane
from apps.jobs.domain.submission import COMPLETION_WINDOW
from apps.jobs.forms import NewJobForm, is_table
from apps.jobs.models import Job
from apps.lib.clock import current_time
from apps.lib.http_errors import ApiError
from apps.lib.streaming import stream_response
from apps.providers.domain.policy import PLAIN, AnswerPolicy
from apps.providers.queries import cache_times, list_callable

# A file that is looked at and not submitted goes by itself.
_UNDECIDED_SECONDS = 24 * 3600


class NewJobPages:
    """For the admin of jobs: `new/` and `<id>/download/`, and the way there from the list."""

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view  # type: ignore[attr-defined]  # a mixin
        return [
            path("new/", view(self.new), name="jobs_job_new"),
            path("<uuid:job_id>/download/", view(self.download), name="jobs_job_download"),
            *super().get_urls(),  # type: ignore[misc]  # a mixin
        ]

    def new(self, request: HttpRequest) -> HttpResponse:
        """The form; with a file, also what will be asked. `step=submit` submits what was looked at."""
        workspaces = workspaces_for_submitting(request.user)
        if not workspaces.exists():
            raise PermissionDenied("Your role lets you look, not submit.")
        models = [model.name for model in list_callable()]
        form = NewJobForm(request.POST or None, request.FILES or None, workspaces=workspaces, models=models)
        context: dict[str, Any] = {"title": "New job", "form": form, "has_models": bool(models)}
        if request.method == "POST" and form.is_valid():
            file = self._file(request, form)
            if file is None:
                form.add_error("upload", "The file is gone; choose it again.")
            elif not is_table(file.filename) or not form.refuse_without_prompt():
                policy = form.policy(times=cache_times(), is_for_table=is_table(file.filename))
                preview = _look(request, form, file, policy) if policy is not None else None
                if preview is not None and policy is not None and not _may_reuse(form, preview, policy):
                    preview = None
                if preview is not None and not preview.is_readable:
                    delete_file(file_id=file.id, now=current_time(), reason="it could not be read")
                    file = None
                elif preview is not None and request.POST.get("step") == "submit" and not preview.error_count:
                    return self._submit(request, form, file, preview, policy or PLAIN)
                context |= {"file": file, "preview": preview, "foresight": _foresee(form, preview)}
        return TemplateResponse(request, "jobs/new_job.html", self.admin_site.each_context(request) | context)  # type: ignore[attr-defined]  # a mixin

    def _file(self, request: HttpRequest, form: NewJobForm) -> Any:
        workspace = form.cleaned_data["workspace"]
        upload = request.FILES.get("upload")
        if upload is None:
            return find_present(workspace_id=workspace.id, file_id=form.cleaned_data["file_id"])
        return create_file(
            workspace_id=workspace.id,
            api_key_id=None,
            purpose="user_data" if is_table(upload.name or "") else "batch",
            filename=upload.name or "upload",
            content=upload,
            expires_after_seconds=_UNDECIDED_SECONDS,
            now=current_time(),
        )

    def _submit(self, request: HttpRequest, form: NewJobForm, file: Any, preview: Preview, policy: AnswerPolicy) -> HttpResponse:
        keep_file(file_id=file.id, now=current_time())
        try:
            job = _submitted(request, form, file, preview, policy)
        except ApiError as error:
            messages.error(request, error.message)
            return HttpResponseRedirect(reverse("admin:jobs_job_new"))
        messages.success(request, "The job is submitted: its lines are checked now, then it runs.")
        return HttpResponseRedirect(reverse("admin:jobs_job_change", args=[job.pk]))

    def download(self, request: HttpRequest, job_id: UUID) -> HttpResponseBase:
        """`?as=csv|xlsx|jsonl`: what has ended so far, while the job still runs, too."""
        job = get_object_or_404(self.get_queryset(request).select_related("table_file"), pk=job_id)  # type: ignore[attr-defined]  # a mixin
        form = request.GET.get("as", "csv")
        if form not in EXPORT_FORMS:
            raise Http404
        export = export_results(job=job, form=form)
        response = stream_response(request, export.chunks, content_type=export.content_type)
        response.headers["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=export.filename) or "attachment"
        return response


def _look(request: HttpRequest, form: NewJobForm, file: Any, policy: AnswerPolicy) -> Preview | None:
    whose = Whose(form.cleaned_data["workspace"].id, end_user=getattr(request.user, "email", ""))
    try:
        if is_table(file.filename):
            return preview_table(file_id=file.id, prompt=form.prompt(), now=current_time(), policy=policy, whose=whose)
        return preview_batch(file_id=file.id, now=current_time(), policy=policy, whose=Whose(whose.workspace_id))
    except FileGoneError as error:
        form.add_error("upload", f"{error} Choose it again.")
        return None


def _may_reuse(form: NewJobForm, preview: Preview, policy: AnswerPolicy) -> bool:
    """False, with the error on the form, when the job that was named has no answers for this one."""
    workspace_id = form.cleaned_data["workspace"].id
    try:
        find_reusable(form.cleaned_data["reuse"], workspace_id=workspace_id, endpoint=preview.endpoint, policy=policy, param="reuse")
    except ApiError as refused:
        form.add_error("reuse", refused.message)
        return False
    return True


def _foresee(form: NewJobForm, preview: Preview | None) -> Foresight | None:
    if preview is None or preview.error_count:
        return None
    return foresee(preview, Intent(form.cleaned_data["workspace"].id, form.cleaned_data["lane"]), now=current_time())


def _submitted(request: HttpRequest, form: NewJobForm, file: Any, preview: Preview, policy: AnswerPolicy) -> Job:
    values = form.cleaned_data
    workspace_id, now = values["workspace"].id, current_time()
    if is_table(file.filename):
        return submit_table(
            workspace_id=workspace_id,
            created_by_id=_user_id(request),
            table_file_id=file.id,
            prompt=form.prompt(),
            policy=policy,
            reuse=values["reuse"],
            lane=Lane(values["lane"]),
            end_user=getattr(request.user, "email", ""),
            now=now,
        )
    request_values = {
        "input_file_id": file.public_id,
        "endpoint": preview.endpoint,
        "completion_window": COMPLETION_WINDOW,
        "metadata": form.metadata(),
    }
    return submit_batch(workspace_id=workspace_id, api_key_id=None, created_by_id=_user_id(request), values=request_values, now=now)


def _user_id(request: HttpRequest) -> UUID:
    """Who is signed in; the admin lets nobody else in."""
    return UUID(str(request.user.pk))
