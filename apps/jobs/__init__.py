"""Take work in, cut it into items, run them, retry, bury: the only conductor. Postgres holds the work, Celery only rings."""
