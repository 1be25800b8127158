from django.db import migrations, models

from apps.lib.resumed_migrations import BuildIndex, DropIndex

# An index alone answers where all rows of a page are known to be there for everybody: vacuum tells so. Rows are only ever added here.
_SET = "ALTER TABLE spend_charge SET (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000)"
_RESET = "ALTER TABLE spend_charge RESET (autovacuum_vacuum_insert_scale_factor, autovacuum_vacuum_insert_threshold)"


class Migration(migrations.Migration):
    """What end users cost within a part of a day is read from it; built while charges are written."""

    atomic = False

    dependencies = [
        ('spend', '0021_sums_by_quarters_of_an_hour'),
    ]

    operations = [
        BuildIndex(
            model_name='charge',
            index=models.Index(fields=['created_at', 'workspace'], include=['end_user', 'cost_usd'], name='spend_charge_costs'),
        ),
        # It finds by time, too.
        DropIndex(model_name='charge', name='spend_charge_by_time'),
        migrations.RunSQL(_SET, _RESET),
    ]
