from django.db import migrations, models

from apps.lib.resumed_migrations import BuildIndex


class Migration(migrations.Migration):
    """One end user's sums are found by the name; built while sums are added."""

    atomic = False

    dependencies = [
        ('spend', '0017_reconciled_waste'),
    ]

    operations = [
        BuildIndex(
            model_name=table,
            index=models.Index(fields=['end_user', 'begins_at'], name=f'spend_{name}_of_user'),
        )
        for table, name in (('userrollup', 'userrollup'), ('userdayrollup', 'userday'), ('usermonthrollup', 'usermonth'))
    ]
