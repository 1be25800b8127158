
import apps.jobs.domain.lifecycle
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_initial'),
        ('jobs', '0005_job_revision'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='item',
            index=models.Index(condition=models.Q(('state', apps.jobs.domain.lifecycle.ItemState['DEAD'])), fields=['job', 'id'], name='jobs_item_dead'),
        ),
    ]
