"""Every item is updated twice: its dead versions are vacuumed by the thousand, and a job's counters find room on their own page."""

from django.db import migrations

_SET = """
ALTER TABLE jobs_item SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE jobs_job SET (fillfactor = 70);
"""
_RESET = """
ALTER TABLE jobs_item RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, autovacuum_analyze_scale_factor);
ALTER TABLE jobs_job RESET (fillfactor);
"""


class Migration(migrations.Migration):
    dependencies = [("jobs", "0003_job_model_name")]
    operations = [migrations.RunSQL(_SET, _RESET)]
