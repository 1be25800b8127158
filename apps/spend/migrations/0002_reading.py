from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Indexes for the lists of the back office; built while the tables are written to."""

    atomic = False

    dependencies = [
        ("spend", "0001_initial"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="charge",
            index=models.Index(fields=["workspace", "id"], name="spend_charge_newest"),
        ),
    ]
