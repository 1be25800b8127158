from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0013_aside'),
    ]

    operations = [
        migrations.AlterField(
            model_name='aside',
            name='needs_usd',
            field=models.DecimalField(decimal_places=12, help_text="The most that the cheapest may cost of those that aren't being recalled.", max_digits=20, null=True),
        ),
        migrations.AddField(
            model_name='aside',
            name='recalled_usd',
            field=models.DecimalField(decimal_places=12, help_text='The same of those that are being recalled, or were when that broke off.', max_digits=20, null=True),
        ),
        migrations.AlterField(
            model_name='aside',
            name='run_id',
            field=models.UUIDField(help_text='The run that was refused last.'),
        ),
    ]
