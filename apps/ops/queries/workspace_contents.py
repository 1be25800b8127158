"""What is in a workspace, for whoever is about to delete it."""

from uuid import UUID

import django.db
from django.db import connection, transaction

_COUNTS = {
    "files": "SELECT count(*) FROM files_file WHERE workspace_id = %s AND deleted_at IS NULL",
    "jobs": "SELECT count(*) FROM jobs_job WHERE workspace_id = %s",
    "items": "SELECT count(*) FROM jobs_item WHERE workspace_id = %s",
    "bodies": "SELECT count(*) FROM traces_body WHERE workspace_id = %s",
    "runs": "SELECT count(*) FROM traces_run WHERE workspace_id = %s",
    "endpoints": "SELECT count(*) FROM webhooks_endpoint WHERE workspace_id = %s",
    "keys": "SELECT count(*) FROM accounts_apikey WHERE workspace_id = %s",
    "members": "SELECT count(*) FROM accounts_member WHERE workspace_id = %s",
    "budgets": "SELECT count(*) FROM spend_budget WHERE workspace_id = %s",
    "charges": "SELECT count(*) FROM spend_charge WHERE workspace_id = %s",
}
_PATIENCE = "2s"


def count_contents(workspace_id: UUID) -> dict[str, int | None]:
    """Rows by kind; None where counting would take longer than a page may."""
    return {kind: _count(statement, workspace_id) for kind, statement in _COUNTS.items()}


def _count(statement: str, workspace_id: UUID) -> int | None:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [_PATIENCE])
            cursor.execute(statement, [workspace_id])
            return int(cursor.fetchall()[0][0])
    except django.db.OperationalError as error:
        if type(error.__cause__).__name__ != "QueryCanceled":
            raise
        return None
