from django.db import migrations

# The triggers on its rows don't see a TRUNCATE, which takes them all.
_REFUSE = """
CREATE FUNCTION accounts_auditentry_refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'entries of the audit log are never changed or deleted' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER accounts_auditentry_no_truncate BEFORE TRUNCATE ON accounts_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_auditentry_refuse_truncate();
"""
_ALLOW = """
DROP TRIGGER accounts_auditentry_no_truncate ON accounts_auditentry;
DROP FUNCTION accounts_auditentry_refuse_truncate();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0010_hashed_under")]

    operations = [migrations.RunSQL(_REFUSE, _ALLOW)]
