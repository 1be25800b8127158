from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """A month's end users by their costs alone are read from it, without the rows; built while sums are added."""

    atomic = False

    dependencies = [
        ('spend', '0014_coarser_sums'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='usermonthrollup',
            index=models.Index(fields=['begins_at'], include=['end_user', 'cost_usd'], name='spend_usermonth_costs'),
        ),
    ]
