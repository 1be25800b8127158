from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0012_prompt_version'),
    ]

    operations = [
        migrations.CreateModel(
            name='Aside',
            fields=[
                ('budget_id', models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ('needs_usd', models.DecimalField(decimal_places=12, help_text='The most that the cheapest of these items may cost.', max_digits=20)),
                ('run_id', models.UUIDField(help_text='The run that was refused last; it tells whether more went aside meanwhile.')),
            ],
        ),
    ]
