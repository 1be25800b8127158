
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0004_vacuum_items_often'),
    ]

    operations = [
        migrations.AddField(
            model_name='job',
            name='completed_at',
            field=models.DateTimeField(blank=True, help_text='When it completed first; a rerun leaves it as it is.', null=True),
        ),
        migrations.AddField(
            model_name='job',
            name='revision',
            field=models.PositiveSmallIntegerField(db_default=1, default=1, help_text='One more for each rerun of what had failed.'),
        ),
    ]
