
import apps.lib.ids
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_audit_entry'),
        ('files', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Upload',
            fields=[
                ('id', models.UUIDField(default=apps.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('purpose', models.CharField(choices=[('batch', 'Batch'), ('batch_output', 'Batch Output'), ('assistants', 'Assistants'), ('fine-tune', 'Fine Tune'), ('vision', 'Vision'), ('user_data', 'User Data'), ('evals', 'Evals')], max_length=20)),
                ('filename', models.CharField(max_length=255)),
                ('size_bytes', models.BigIntegerField(help_text='What was announced; the parts must come to exactly this.')),
                ('status', models.CharField(choices=[('pending', 'Pending'), ('completed', 'Completed'), ('cancelled', 'Cancelled'), ('expired', 'Expired')], default='pending', max_length=10)),
                ('file_expires_after_seconds', models.PositiveIntegerField(blank=True, null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('expires_at', models.DateTimeField()),
                ('api_key', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to='accounts.apikey')),
                ('file', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='files.file')),
                ('workspace', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='uploads', to='accounts.workspace')),
            ],
        ),
        migrations.CreateModel(
            name='Part',
            fields=[
                ('id', models.UUIDField(default=apps.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('size_bytes', models.BigIntegerField()),
                ('storage_key', models.CharField(max_length=255)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('upload', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='parts', to='files.upload')),
            ],
        ),
        migrations.AddIndex(
            model_name='upload',
            index=models.Index(condition=models.Q(('status', 'pending')), fields=['expires_at'], name='files_upload_expiry'),
        ),
    ]
