import apps.jobs.domain.lifecycle
from django.db import migrations, models

from apps.lib.resumed_migrations import BuildIndex


class Migration(migrations.Migration):
    """Indexes for the lists of the back office; built while the tables are written to."""

    atomic = False

    dependencies = [
        ("jobs", "0008_item_triage"),
    ]

    operations = [
        BuildIndex(
            model_name="item",
            index=models.Index(fields=["workspace", "id"], name="jobs_item_newest"),
        ),
        BuildIndex(
            model_name="item",
            index=models.Index(
                condition=models.Q(("state", apps.jobs.domain.lifecycle.ItemState["DEAD"])), fields=["id"], name="jobs_item_dead_newest"
            ),
        ),
        BuildIndex(
            model_name="item",
            index=models.Index(
                condition=models.Q(("state", apps.jobs.domain.lifecycle.ItemState["WAITING"])),
                fields=["id"],
                name="jobs_item_waiting_newest",
            ),
        ),
        BuildIndex(
            model_name="item",
            index=models.Index(
                condition=models.Q(("state", apps.jobs.domain.lifecycle.ItemState["DEAD"])), fields=["ended_at"], name="jobs_item_dead_at"
            ),
        ),
        BuildIndex(
            model_name="item",
            index=models.Index(fields=["custom_id", "id"], name="jobs_item_by_custom_id"),
        ),
        BuildIndex(
            model_name="job",
            index=models.Index(fields=["workspace", "id"], name="jobs_job_newest"),
        ),
    ]
