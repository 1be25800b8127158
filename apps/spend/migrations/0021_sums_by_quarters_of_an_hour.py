import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """All sums are made anew from the charges, by the beat: it finds marks without this release's seal."""

    dependencies = [
        ('accounts', '0011_audit_not_emptied'),
        ('spend', '0020_users_of_everything'),
    ]

    operations = [
        migrations.CreateModel(
            name='QuarterRollup',
            fields=[
                ('id', models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ('begins_at', models.DateTimeField(help_text='Of the hour or day, in UTC.')),
                ('calls', models.BigIntegerField()),
                ('items', models.BigIntegerField()),
                ('input_tokens', models.BigIntegerField(help_text='All of them: also cached ones and those written to a cache.')),
                ('cached_input_tokens', models.BigIntegerField()),
                ('output_tokens', models.BigIntegerField(help_text='All of them: also reasoning.')),
                ('reasoning_tokens', models.BigIntegerField()),
                ('cost_usd', models.DecimalField(decimal_places=12, max_digits=24)),
                ('retries', models.BigIntegerField(help_text="Calls that were not their item's first.")),
                ('retry_usd', models.DecimalField(decimal_places=12, max_digits=24)),
                ('wasted', models.BigIntegerField(help_text='Calls that were perhaps paid for nothing; not among the calls.')),
                ('waste_usd', models.DecimalField(decimal_places=12, max_digits=24)),
                ('cache_saved_usd', models.DecimalField(decimal_places=12, max_digits=24)),
                ('cascade_saved_usd', models.DecimalField(decimal_places=12, max_digits=24)),
                ('api_key_id', models.UUIDField(null=True)),
                ('feature', models.CharField(max_length=64)),
                ('lane', models.CharField(max_length=12)),
                ('model_id', models.UUIDField(null=True)),
                ('provider_id', models.UUIDField(null=True)),
                ('upstream_model', models.CharField(max_length=200)),
                ('prompt_version', models.CharField(db_default='', default='', max_length=64)),
                ('workspace', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, to='accounts.workspace')),
            ],
            options={
                'indexes': [models.Index(fields=['workspace', 'begins_at'], name='spend_quarter_of_workspace'), models.Index(fields=['begins_at'], name='spend_quarter_by_time')],
            },
        ),
    ]
