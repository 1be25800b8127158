import apps.jobs.domain.lifecycle
from django.db import migrations, models

from apps.lib.resumed_migrations import BuildIndex


class Migration(migrations.Migration):
    """The index is built while the table is written to."""

    atomic = False

    dependencies = [
        ('jobs', '0014_recalled'),
    ]

    operations = [
        BuildIndex(
            model_name='item',
            index=models.Index(condition=models.Q(('error_code', 'budget_exhausted'), ('state', apps.jobs.domain.lifecycle.ItemState['WAITING'])), fields=['id'], name='jobs_item_held_by_id'),
        ),
    ]
