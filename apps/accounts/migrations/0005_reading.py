from django.db import migrations, models

from apps.lib.resumed_migrations import BuildIndex


class Migration(migrations.Migration):
    """Indexes for the lists of the back office; built while the tables are written to."""

    atomic = False

    dependencies = [
        ("accounts", "0004_retention"),
    ]

    operations = [
        BuildIndex(
            model_name="auditentry",
            index=models.Index(fields=["workspace", "id"], name="accounts_audit_newest"),
        ),
    ]
