"""When a waiting item could run, said once for every statement that asks. Each is about a job that the statement calls `job`."""

# A job that waits for its budget is left out, until that one is raised or begins anew.
NOT_HELD = "(job.held_by_id IS NULL OR job.held_until <= statement_timestamp())"

# The job's waiting items that could run now, if only somebody took them.
READY_OF_JOB = f"job_id = job.id AND state = 'waiting' AND not_before <= statement_timestamp() AND job.status = 'running' AND {NOT_HELD}"

# Since when the first of them has been ready; no row without one. By the index, however many there are.
FIRST_READY = f"""
    SELECT greatest(not_before, job.held_until) AS not_before FROM jobs_item WHERE {READY_OF_JOB} ORDER BY jobs_item.not_before LIMIT 1
"""  # noqa: S608 -- constants of this module
