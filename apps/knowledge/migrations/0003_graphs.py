from typing import Any

from django.contrib.postgres.indexes import OpClass
from django.db import migrations, models
from django.db.models.functions import Cast
from django.db.models.lookups import Exact
from pgvector.django import HnswIndex, VectorField

from apps.lib.resumed_migrations import BuildIndex, DropIndex
from apps.lib.vector_extension import VectorDims


def graph(dimensions: int) -> HnswIndex:
    return HnswIndex(
        OpClass(Cast("embedding", VectorField(dimensions=dimensions)), "vector_ip_ops"),
        name=f"knowledge_chunk_graph_{dimensions}",
        condition=models.Q(Exact(VectorDims("embedding"), dimensions)),
        m=16,
        ef_construction=64,
    )


class RemoveFixedGraph(DropIndex):
    """On the way back it is built by the migration before, once the column has one length again."""

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Nothing yet."""


class Migration(migrations.Migration):
    """A graph for each length of vectors; built while the table is written to, the one that took one length alone goes last."""

    atomic = False

    dependencies = [
        ("knowledge", "0002_embedders"),
    ]

    operations = [
        *[BuildIndex(model_name="chunk", index=graph(number)) for number in (256, 384, 512, 768, 1024, 1536)],
        BuildIndex(
            model_name="chunk",
            index=models.Index(condition=models.Q(("text_key__isnull", False)), fields=["text_key"], name="knowledge_chunk_text"),
        ),
        BuildIndex(
            model_name="chunk",
            index=models.Index(condition=models.Q(("embedding", None), ("item_id", None)), fields=["collection"], name="knowledge_chunk_unasked"),
        ),
        BuildIndex(
            model_name="chunk",
            index=models.Index(
                condition=models.Q(("embedding", None), ("item_id__isnull", False)), fields=["item_id"], name="knowledge_chunk_awaited"
            ),
        ),
        RemoveFixedGraph(model_name="chunk", name="knowledge_chunk_embedding"),
    ]
