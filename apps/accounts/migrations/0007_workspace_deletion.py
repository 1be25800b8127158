from django.db import migrations, models

# As before, but that names and texts of a workspace that is being deleted may be blanked.
_LET_GO = """
CREATE OR REPLACE FUNCTION accounts_auditentry_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE'
        AND EXISTS (SELECT 1 FROM accounts_workspace WHERE id = OLD.workspace_id AND deleting_at IS NOT NULL)
        AND (NEW.actor_label, NEW.object_label, NEW.reason, NEW.request_id, NEW.address) = ('', '', '', '', '')
        AND NEW.changes = '{}'::jsonb
        AND (NEW.id, NEW.created_at, NEW.actor_kind, NEW.actor_id, NEW.verb, NEW.object_type, NEW.object_id, NEW.workspace_id)
            IS NOT DISTINCT FROM
            (OLD.id, OLD.created_at, OLD.actor_kind, OLD.actor_id, OLD.verb, OLD.object_type, OLD.object_id, OLD.workspace_id)
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'entries of the audit log are never changed or deleted' USING ERRCODE = 'restrict_violation';
END $$;
"""
_REFUSE_ALL = """
CREATE OR REPLACE FUNCTION accounts_auditentry_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'entries of the audit log are never changed or deleted' USING ERRCODE = 'restrict_violation';
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0006_workspace_failover")]

    operations = [
        migrations.AddField(
            model_name="workspace",
            name="deleting_at",
            field=models.DateTimeField(blank=True, editable=False, null=True, verbose_name="being deleted since"),
        ),
        migrations.AddField(model_name="workspace", name="deleted_at", field=models.DateTimeField(blank=True, editable=False, null=True)),
        migrations.RunSQL(_LET_GO, _REFUSE_ALL),
    ]
