from django.db import migrations, models

from apps.lib.resumed_migrations import BuildIndex, DropIndex

_HELD = ['workspace', 'api_key_id', 'feature', 'lane', 'model_id', 'provider_id', 'upstream_model', 'prompt_version', 'cost_usd']
_OF_FEW = {'key': 'api_key_id', 'lane': 'lane', 'model': 'model_id', 'provider': 'provider_id', 'upstream': 'upstream_model', 'prompt': 'prompt_version'}


class Migration(migrations.Migration):
    """Which users a key, lane, model, provider or prompt version has is found by indexes, too; built while sums are added."""

    atomic = False

    dependencies = [
        ('spend', '0019_users_of_days_and_features'),
    ]

    operations = [
        BuildIndex(
            model_name='userrollup',
            index=models.Index(fields=['end_user', 'begins_at'], include=_HELD, name='spend_userrollup_of_users'),
        ),
        *(
            BuildIndex(
                model_name='userrollup',
                index=models.Index(fields=[column, 'begins_at'], name=f'spend_userrollup_of_{name}'),
            )
            for name, column in _OF_FEW.items()
        ),
        # The first of these holds all that it did.
        DropIndex(model_name='userrollup', name='spend_userrollup_of_user'),
    ]
