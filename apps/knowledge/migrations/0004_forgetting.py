from django.db import migrations, models

from apps.lib.resumed_migrations import AddColumn, BuildIndex


class Migration(migrations.Migration):
    """Since when a deleted document's text is gone, and a collection is deleted."""

    atomic = False

    dependencies = [
        ("knowledge", "0003_graphs"),
    ]

    operations = [
        AddColumn(
            model_name="collection",
            name="deleted_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        AddColumn(
            model_name="document",
            name="forgotten_at",
            field=models.DateTimeField(blank=True, editable=False, help_text="Since when nothing is left of what it said.", null=True),
        ),
        BuildIndex(
            model_name="document",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", False), ("forgotten_at", None)),
                fields=["collection"],
                name="knowledge_document_unforgotten",
            ),
        ),
    ]
