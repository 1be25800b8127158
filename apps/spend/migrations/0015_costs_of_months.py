from django.db import migrations, models

from apps.lib.resumed_migrations import BuildIndex


class Migration(migrations.Migration):
    """A month's end users by their costs alone are read from it, without the rows; built while sums are added."""

    atomic = False

    dependencies = [
        ('spend', '0014_coarser_sums'),
    ]

    operations = [
        BuildIndex(
            model_name='usermonthrollup',
            index=models.Index(fields=['begins_at'], include=['end_user', 'cost_usd'], name='spend_usermonth_costs'),
        ),
    ]
