import pgvector.django.vector
from django.db import migrations, models

# A vector may come later than its text, once; all else stays as it was written.
LATE_VECTORS = """
CREATE OR REPLACE FUNCTION knowledge_refuse_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'knowledge_chunk' THEN
        IF OLD.embedding IS NULL THEN
            OLD.embedding := NEW.embedding;
            OLD.item_id := NEW.item_id;
            IF NEW IS NOT DISTINCT FROM OLD THEN
                RETURN NEW;
            END IF;
        END IF;
    END IF;
    RAISE EXCEPTION 'rows of % never change', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
"""
NEVER = """
CREATE OR REPLACE FUNCTION knowledge_refuse_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % never change', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
"""
# Another type takes the column's storage with it: the vectors stay in the row, as before.
IN_PLACE = "ALTER TABLE knowledge_chunk ALTER COLUMN embedding SET STORAGE PLAIN"
FIXED_GRAPH = """
CREATE INDEX knowledge_chunk_embedding ON knowledge_chunk USING hnsw (embedding vector_ip_ops) WITH (m = 16, ef_construction = 64)
"""


class Migration(migrations.Migration):
    """Vectors of any length, which may come later. No row is written anew, and the graph that is there stays as it is."""

    dependencies = [
        ("knowledge", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="chunk",
            name="item_id",
            field=models.UUIDField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="chunk",
            name="text_key",
            field=models.UUIDField(editable=False, help_text="The same for the same text of a workspace and an embedder.", null=True),
        ),
        migrations.AddField(
            model_name="documentversion",
            name="read_at",
            field=models.DateTimeField(
                blank=True, editable=False, help_text="Since when it is read and waits for its vectors.", null=True
            ),
        ),
        migrations.RunSQL(migrations.RunSQL.noop, [FIXED_GRAPH, IN_PLACE]),
        migrations.AlterField(
            model_name="chunk",
            name="embedding",
            field=pgvector.django.vector.VectorField(null=True),
        ),
        migrations.RunSQL(IN_PLACE, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="collection",
            name="dimensions",
            field=models.PositiveIntegerField(
                choices=[(256, "256"), (384, "384"), (512, "512"), (768, "768"), (1024, "1024"), (1536, "1536")],
                default=256,
                help_text="How many numbers a vector has; longer ones of the model are cut. It can't be changed.",
            ),
        ),
        migrations.AlterField(
            model_name="collection",
            name="embedder",
            field=models.CharField(
                default="wordllama-256",
                help_text=(
                    "Who makes its vectors: the model that ships with the platform and costs nothing, or a provider's. It can't be changed."
                ),
                max_length=200,
            ),
        ),
        migrations.RunSQL(LATE_VECTORS, NEVER),
    ]
