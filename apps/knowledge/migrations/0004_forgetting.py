from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Since when a deleted document's text is gone, and a collection is deleted."""

    atomic = False

    dependencies = [
        ("knowledge", "0003_graphs"),
    ]

    operations = [
        migrations.AddField(
            model_name="collection",
            name="deleted_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="document",
            name="forgotten_at",
            field=models.DateTimeField(blank=True, editable=False, help_text="Since when nothing is left of what it said.", null=True),
        ),
        AddIndexConcurrently(
            model_name="document",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", False), ("forgotten_at", None)),
                fields=["collection"],
                name="knowledge_document_unforgotten",
            ),
        ),
    ]
