from django.db import migrations, models

from apps.lib.resumed_migrations import BuildIndex


class Migration(migrations.Migration):
    """Indexes for the lists of the back office; built while the tables are written to."""

    atomic = False

    dependencies = [
        ("traces", "0002_body_age"),
    ]

    operations = [
        BuildIndex(
            model_name="exchange",
            index=models.Index(fields=["workspace", "id"], name="traces_exchange_newest"),
        ),
        BuildIndex(
            model_name="exchange",
            index=models.Index(
                condition=models.Q(("provider_request_id", ""), _negated=True),
                fields=["provider_request_id"],
                name="traces_exchange_by_request",
            ),
        ),
        BuildIndex(
            model_name="run",
            index=models.Index(fields=["workspace", "id"], name="traces_run_newest"),
        ),
    ]
