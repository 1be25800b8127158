"""Task results in the back office's own look; the work's record is under Jobs."""

from django.contrib import admin
from django_celery_results.admin import TaskResultAdmin
from django_celery_results.models import GroupResult, TaskResult
from unfold.admin import ModelAdmin

from apps.accounts.permissions import ForSuperusers, ReadOnly

admin.site.unregister(TaskResult)
admin.site.unregister(GroupResult)


@admin.register(TaskResult)
class PlatformTaskResultAdmin(ReadOnly, ForSuperusers, TaskResultAdmin, ModelAdmin):  # type: ignore[misc]  # neither ships types
    """What control tasks and pumps reported lately."""

    list_after_template = "accounts/empty.html"
    empty_hint = "Control tasks report here once a minute. If nothing comes, beat or the control workers are down."
    list_display = ("task_name", "status", "result", "worker", "date_created", "date_done")
    show_full_result_count = False
