"""What can be done with work; the verbs, one file each."""

from apps.jobs.actions.report import report_work
from apps.jobs.actions.ring import ring, wake_pumps
from apps.jobs.actions.run import run_items
from apps.jobs.actions.sweep import sweep

__all__ = ["report_work", "ring", "run_items", "sweep", "wake_pumps"]
