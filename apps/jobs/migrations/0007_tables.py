
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('files', '0001_initial'),
        ('jobs', '0006_dead_items'),
    ]

    operations = [
        migrations.AddField(
            model_name='job',
            name='table',
            field=models.JSONField(blank=True, help_text='How the rows of the table become requests: model, prompts, parameters.', null=True),
        ),
        migrations.AddField(
            model_name='job',
            name='table_file',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='files.file'),
        ),
    ]
