import apps.jobs.domain.lifecycle
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """The index is built while the table is written to."""

    atomic = False

    dependencies = [
        ('jobs', '0014_recalled'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='item',
            index=models.Index(condition=models.Q(('error_code', 'budget_exhausted'), ('state', apps.jobs.domain.lifecycle.ItemState['WAITING'])), fields=['id'], name='jobs_item_held_by_id'),
        ),
    ]
