"""Jobs: watch them live, pause, resume and cancel them."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

from django.conf import settings
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin
from unfold.decorators import display

from apps.accounts.permissions import ByWorkspace, ReadOnly, WorkspaceFilter, reason_of
from apps.accounts.queries import workspaces_for_submitting
from apps.jobs.actions import cancel_job, change_lane, pause_job, rerun_failed, resume_job
from apps.jobs.admin.chat import ChatPages
from apps.jobs.admin.document_pages import DocumentPages, documents_context
from apps.jobs.admin.new_documents import NewDocumentJobPages
from apps.jobs.admin.new_job import NewJobPages
from apps.jobs.admin.search_collection import SearchPages
from apps.jobs.admin.try_prompt import TryPromptPages
from apps.jobs.domain.lifecycle import JobStatus, Lane
from apps.jobs.domain.progress import Progress
from apps.jobs.domain.samples import recent_rate, to_bars
from apps.jobs.models import Job
from apps.jobs.queries import MOST_GROUPED, count_running, group_errors, read_course
from apps.jobs.queries.only_answer import read_only_answer
from apps.lib.html_parts import page_link, pairs_table
from apps.lib.http_errors import ApiError
from apps.lib.large_tables import LargeTable, RecentValuesFilter
from apps.providers.domain.policy import load_policy
from apps.spend.queries import find_budget

STATUS_COLOURS = {
    "validating": "info", "running": "info", "finishing": "info", "completed": "success", "failed": "danger", "paused": "warning",
    "cancelling": "warning", "cancelled": "warning", "expired": "warning",
}  # fmt: skip
_REFUSAL_HEAD = SafeString('<thead><tr><th scope="col">Line</th><th scope="col">What to mend</th></tr></thead>')
Change = Callable[..., Any]
_MOVABLE = {JobStatus.VALIDATING, JobStatus.RUNNING, JobStatus.PAUSED}
_RERUNNABLE = {JobStatus.RUNNING, JobStatus.PAUSED, JobStatus.COMPLETED}
# htmx stops asking when it gets this status.
_STOP_POLLING = 286


def progress_of(job: Job) -> Progress:
    return Progress(total=job.total, done=job.done, dead=job.dead, started_at=job.started_at, ended_at=job.ended_at)


@admin.register(Job)
class JobAdmin(  # type: ignore[misc]  # unfold ships no types
    ChatPages, DocumentPages, NewDocumentJobPages, SearchPages, TryPromptPages, NewJobPages,
    LargeTable, ReadOnly, ByWorkspace, ModelAdmin,  # type: ignore[misc]  # unfold ships no types
):  # fmt: skip
    """What was submitted and how far it is."""

    list_display = ("named", "workspace", "standing", "lane", "progress", "tokens", "cost", "age")
    list_filter = (("kind", RecentValuesFilter), "status", "lane", ("workspace", WorkspaceFilter))
    list_select_related = ("workspace", "input_file", "table_file", "recipe")
    scanned_fields = ("feature", "end_user")
    search_help_text = "A job's id, or a whole feature or user."
    change_form_outer_before_template = "jobs/job.html"
    list_before_template = "jobs/list_head.html"
    list_after_template = "accounts/empty.html"
    empty_hint = "'New job' uploads a file or a table; programs submit with an API key, by the OpenAI SDK or HTTP."
    fields = (
        ("public_id", "workspace"), ("kind", "lane"), ("endpoint", "model_name"), ("api_key", "created_by"), ("feature", "end_user"),
        "waits_for", "told", "answers", "input", ("output", "errors_file"), "refusal", ("created_at", "expires_at"),
        ("started_at", "ended_at"),
        ("paused_at", "cancelling_at"),
    )  # fmt: skip
    readonly_fields = ("public_id", "waits_for", "told", "answers", "input", "output", "errors_file", "refusal")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Without the texts that a job doesn't have."""
        missing = {"told": not (obj and obj.metadata), "refusal": not (obj and obj.errors), "answers": not (obj and obj.policy)}
        missing["waits_for"] = not (obj and obj.is_held(timezone.now()))
        return [field for field in super().get_fields(request, obj) if not missing.get(field)]

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("<uuid:job_id>/progress/", view(self.show_progress), name="jobs_job_progress"),
            path("<uuid:job_id>/pause/", view(require_POST(self.pause)), name="jobs_job_pause"),
            path("<uuid:job_id>/resume/", view(require_POST(self.resume)), name="jobs_job_resume"),
            path("<uuid:job_id>/cancel/", view(self.cancel), name="jobs_job_cancel"),
            path("<uuid:job_id>/rerun/", view(self.rerun), name="jobs_job_rerun"),
            path("<uuid:job_id>/lane/", view(require_POST(self.move)), name="jobs_job_lane"),
            path("<uuid:job_id>/errors/", view(self.show_errors), name="jobs_job_errors"),
            *super().get_urls(),
        ]

    @admin.display(description="waits for its budget")
    def waits_for(self, job: Job) -> str:
        until = f"until {job.held_until:%Y-%m-%d %H:%M} UTC, or until it is raised" if job.held_until else "until it is raised or topped up"
        budget = find_budget(job.held_by_id) if job.held_by_id else None
        if budget is None or budget.scope == "platform":
            return f"The platform's budget is used up: nothing of this job is sent {until}."
        if budget.is_pause:
            lift = page_link("spend_budget", budget.pk, f"The {budget}")
            return format_html("{} holds it: nothing of this job is sent until somebody lifts it.", lift)
        return format_html("{} is used up: nothing of this job is sent {}.", page_link("spend_budget", budget.pk, str(budget)), until)

    # --- columns ------------------------------------------------------------------------------------------------

    @admin.display(description="job", ordering="pk")
    def named(self, job: Job) -> str:
        return format_html('<span class="name">{}<small>{}</small></span>', job.name, job.public_id)

    @display(description="status", ordering="status", label=STATUS_COLOURS)  # type: ignore[untyped-decorator]  # unfold ships no types
    def standing(self, job: Job) -> str:
        return job.status

    @admin.display(description="age", ordering="created_at")
    def age(self, job: Job) -> str:
        submitted = f"{job.created_at:%Y-%m-%d %H:%M:%S} UTC"
        return format_html('<span class="whole" title="{}">{}</span>', submitted, timesince(job.created_at, depth=1))

    @admin.display(description="progress")
    def progress(self, job: Job) -> str:
        now = progress_of(job)
        return format_html(
            '<div class="bar" title="{} done, {} dead of {}"><i class="good" style="width:{}%"></i>'
            '<i class="bad" style="width:{}%"></i></div><span class="whole">{} of {}</span>',
            job.done, job.dead, job.total, now.done_percent, now.dead_percent, f"{now.ended:,}", f"{job.total:,}",
        )  # fmt: skip

    @admin.display(description="tokens in / out")
    def tokens(self, job: Job) -> str:
        return format_html('<span class="whole">{} / {}</span>', f"{job.input_tokens:,}", f"{job.output_tokens:,}")

    @admin.display(description="cost", ordering="cost_usd")
    def cost(self, job: Job) -> str:
        return f"${job.cost_usd:.4f}"

    @admin.display(description="answers")
    def answers(self, job: Job) -> str:
        return load_policy(job.policy).in_words()

    @admin.display(description="input file")
    def input(self, job: Job) -> str:
        return _file_link(job.input_file)

    @admin.display(description="output file")
    def output(self, job: Job) -> str:
        return _file_link(job.output_file)

    @admin.display(description="error file")
    def errors_file(self, job: Job) -> str:
        return _file_link(job.error_file)

    @admin.display(description="metadata")
    def told(self, job: Job) -> str:
        return pairs_table(job.metadata)

    @admin.display(description="why it was refused")
    def refusal(self, job: Job) -> str:
        lines = ((error.get("line") or "-", error.get("message") or error.get("code")) for error in job.errors or ())
        rows = format_html_join("", "<tr><td>{}</td><td>{}</td></tr>", lines)
        return format_html('<div class="wide"><table class="plain narrow">{}<tbody>{}</tbody></table></div>', _REFUSAL_HEAD, rows)

    # --- the page -----------------------------------------------------------------------------------------------

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        may_submit = workspaces_for_submitting(request.user).exists()
        response: HttpResponse = super().changelist_view(request, (extra_context or {}) | {"may_submit": may_submit})
        return response

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        job = self.get_object(request, object_id)
        context = self._context(request, job) | _errors(job) if job else {}
        if job and job.recipe_id:
            context |= documents_context(job, request)
        response: HttpResponse = super().change_view(request, object_id, form_url, (extra_context or {}) | context)
        return response

    def show_progress(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """The part of the page that renews itself, until the job has ended."""
        job = self._job(request, job_id)
        status = _STOP_POLLING if job.ended_at else 200
        return TemplateResponse(request, "jobs/progress.html", self._context(request, job), status=status)

    def show_errors(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """What its dead items died of; renewed less often, because it reads items."""
        job = self._job(request, job_id)
        return TemplateResponse(request, "jobs/errors.html", {"job": job} | _errors(job))

    def _context(self, request: HttpRequest, job: Job) -> dict[str, Any]:
        now, progress = timezone.now(), progress_of(job)
        course = read_course(job, now=now)
        running = count_running(job.pk) if job.ended_at is None else 0
        lately = None if job.ended_at else recent_rate(course)
        rate = progress.items_per_second(now) if lately is None else lately
        is_open, items = job.ended_at is None, f"{reverse('admin:jobs_item_changelist')}?job={job.pk}"
        return {
            "job": job,
            "progress": progress,
            "running": running,
            "waiting": max(0, progress.waiting - running) if is_open else 0,
            "rate": _rate(rate),
            "remaining": timedelta(seconds=round(progress.waiting / rate)) if rate and is_open and progress.waiting else None,
            "only_answer": read_only_answer(job),
            "bars": [asdict(bar) for bar in to_bars(course)],
            "accepted_percent": round(100 * job.first_accepted / job.first_asked) if job.first_asked else None,
            "may_change": self.may_change(request, job),
            "is_open": is_open,
            "may_move": job.status in _MOVABLE,
            "may_rerun": job.dead and job.status in _RERUNNABLE,
            "other_lanes": [lane.value for lane in Lane if lane != job.lane],
            "items_url": items,
            "state_urls": {state: f"{items}&state__exact={state}" for state in ("done", "dead", "running", "waiting")},
            # Flower's page searches by what stands in `name`, which may go on with other terms.
            "flower_url": f"{settings.FLOWER_URL}tasks?name={quote(f'jobs. kwargs:job_id={job.pk}')}",
        }

    # --- changes ------------------------------------------------------------------------------------------------

    def may_change(self, request: HttpRequest, job: Job) -> bool:
        """Members and owners of the job's workspace."""
        return ByWorkspace.has_change_permission(self, request, job)

    def pause(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """No item of it is claimed until it is resumed."""
        return self._change(request, job_id, pause_job, "The job is paused; calls in the air finish.")

    def resume(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """Its items are claimed again."""
        return self._change(request, job_id, _resume, "The job goes on.")

    def cancel(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """Ask first: it can't be undone."""
        if request.method == "POST":
            return self._change(request, job_id, cancel_job, "The job is being cancelled; calls in the air finish and are charged.")
        context = self.admin_site.each_context(request) | self._context(request, self._job(request, job_id))
        return TemplateResponse(request, "jobs/cancel.html", context | {"title": "Cancel this job?"})

    def rerun(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """Ask first: it costs anew."""
        if request.method == "POST":
            return self._change(request, job_id, rerun_failed, "What had failed waits to run again.", needs_reason=True)
        context = self.admin_site.each_context(request) | self._context(request, self._job(request, job_id))
        return TemplateResponse(request, "jobs/rerun.html", context | {"title": "Run again what failed?"})

    def move(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """What waits of it is claimed in the other lane's turn."""
        lane = request.POST.get("lane", "")
        return self._change(request, job_id, partial(_move, lane=lane), f"The job has moved to the lane '{lane}'.")

    def _change(self, request: HttpRequest, job_id: UUID, change: Change, message: str, *, needs_reason: bool = False) -> HttpResponse:
        job = self._job(request, job_id)
        if not self.may_change(request, job):
            messages.error(request, "Your role in this workspace only lets you look.")
        else:
            try:
                reason = reason_of(request, is_needed=needs_reason)
                change(workspace_id=job.workspace_id, public_id=job.public_id, now=timezone.now(), reason=reason)
                messages.success(request, message)
            except ApiError as error:
                messages.error(request, error.message)
        return HttpResponseRedirect(reverse("admin:jobs_job_change", args=[job.pk]))

    def _job(self, request: HttpRequest, job_id: UUID) -> Job:
        job: Job = get_object_or_404(self.get_queryset(request), pk=job_id)
        return job


def _resume(*, workspace_id: UUID, public_id: str, now: datetime, reason: str) -> Job:  # noqa: ARG001 -- the shape of the other changes
    return resume_job(workspace_id=workspace_id, public_id=public_id, reason=reason)


def _move(*, workspace_id: UUID, public_id: str, now: datetime, reason: str, lane: str) -> Job:  # noqa: ARG001 -- the shape of the other changes
    return change_lane(workspace_id=workspace_id, public_id=public_id, lane=lane, reason=reason)


def _errors(job: Job) -> dict[str, Any]:
    """Groups of dead items, each with the address of the list of its items."""
    items = reverse("admin:jobs_item_changelist")
    groups = [
        {
            "group": group,
            "url": f"{items}?"
            + urlencode(
                {"job": str(job.pk), "state__exact": "dead", "outcome": group.outcome, "error_code": group.code}
                | ({"error_message__startswith": group.message} if group.message else {"error_message": ""})
            ),
        }
        for group in (group_errors(job.pk) if job.dead else ())
    ]
    return {"error_groups": groups, "most_grouped": MOST_GROUPED if job.dead > MOST_GROUPED else None}


def _rate(per_second: float) -> str:
    """Slow work reads better by the minute."""
    return f"{per_second:,.1f}/s" if per_second >= 1 else f"{per_second * 60:,.1f}/min"


def _file_link(file: Any) -> str:
    if file is None:
        return "none"
    return format_html(
        '<a class="link" href="{}">{}</a> · <a class="link" href="{}">Download</a>',
        reverse("admin:files_file_change", args=[file.pk]), file.filename, reverse("admin:files_file_content", args=[file.pk]),
    )  # fmt: skip
