from django.db import migrations, models

from apps.lib.resumed_migrations import BuildIndex


class Migration(migrations.Migration):
    """What roll-ups follow; built while the tables are written to."""

    atomic = False

    dependencies = [
        ('spend', '0007_rollups'),
    ]

    operations = [
        BuildIndex(
            model_name='charge',
            index=models.Index(condition=models.Q(('transaction_id__isnull', False)), fields=['transaction_id'], name='spend_charge_by_transaction'),
        ),
        BuildIndex(
            model_name='waste',
            index=models.Index(condition=models.Q(('transaction_id__isnull', False)), fields=['transaction_id'], name='spend_waste_by_transaction'),
        ),
    ]
