from django.db import migrations, models

from apps.lib.resumed_migrations import BuildIndex


class Migration(migrations.Migration):
    """Indexes for the lists of the back office; built while the tables are written to."""

    atomic = False

    dependencies = [
        ("spend", "0001_initial"),
    ]

    operations = [
        BuildIndex(
            model_name="charge",
            index=models.Index(fields=["workspace", "id"], name="spend_charge_newest"),
        ),
    ]
