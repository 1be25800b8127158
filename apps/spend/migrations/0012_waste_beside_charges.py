from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('spend', '0011_user_days'),
    ]

    operations = [
        migrations.AddField(
            model_name='resolution',
            name='waste_usd',
            field=models.DecimalField(decimal_places=12, max_digits=20, null=True),
        ),
    ]
