from django.db import migrations, models

from apps.lib.resumed_migrations import BuildIndex


class Migration(migrations.Migration):
    """What users cost by days, and those of a feature, is read from these without the rows; built while sums are added."""

    atomic = False

    dependencies = [
        ('spend', '0018_sums_of_one_user'),
    ]

    operations = [
        BuildIndex(
            model_name='userdayrollup',
            index=models.Index(fields=['begins_at'], include=['workspace', 'end_user', 'cost_usd'], name='spend_userday_costs'),
        ),
        BuildIndex(
            model_name='userrollup',
            index=models.Index(fields=['feature', 'begins_at'], include=['workspace', 'end_user', 'cost_usd'], name='spend_userrollup_of_feature'),
        ),
    ]
