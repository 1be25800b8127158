from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """What roll-ups follow; built while the tables are written to."""

    atomic = False

    dependencies = [
        ('spend', '0007_rollups'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='charge',
            index=models.Index(condition=models.Q(('transaction_id__isnull', False)), fields=['transaction_id'], name='spend_charge_by_transaction'),
        ),
        AddIndexConcurrently(
            model_name='waste',
            index=models.Index(condition=models.Q(('transaction_id__isnull', False)), fields=['transaction_id'], name='spend_waste_by_transaction'),
        ),
    ]
