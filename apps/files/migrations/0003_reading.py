from django.db import migrations, models

from apps.lib.resumed_migrations import BuildIndex


class Migration(migrations.Migration):
    """Indexes for the lists of the back office; built while the tables are written to."""

    atomic = False

    dependencies = [
        ("files", "0002_uploads"),
    ]

    operations = [
        BuildIndex(
            model_name="file",
            index=models.Index(fields=["workspace", "id"], name="files_file_newest"),
        ),
    ]
