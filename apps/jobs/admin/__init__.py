"""Work in the back office: jobs, items and pumps."""

from apps.jobs.admin import items, jobs, pumps, recipes

__all__ = ["items", "jobs", "pumps", "recipes"]
