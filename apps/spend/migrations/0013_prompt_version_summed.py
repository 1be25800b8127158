from django.db import migrations, models

# The sums are made anew from the charges, by the beat; meanwhile answers say that they are not complete. A fresh database has no marks.
_BEGIN_ANEW = """
UPDATE spend_rollupmark
SET before = 4611686018427387904, history_before = 4611686018427387904, history_after = '00000000-0000-0000-0000-000000000000'
"""


class Migration(migrations.Migration):

    dependencies = [
        ('spend', '0012_waste_beside_charges'),
    ]

    operations = [
        *(
            migrations.AddField(
                model_name=name,
                name='prompt_version',
                field=models.CharField(db_default='', default='', max_length=64),
            )
            for name in ('waste', 'saving', 'jobrollup', 'userrollup')
        ),
        migrations.RunSQL(_BEGIN_ANEW, migrations.RunSQL.noop),
    ]
