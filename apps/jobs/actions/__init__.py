"""What can be done with work; the verbs, one file each."""

from apps.jobs.actions.advance_job import advance_job
from apps.jobs.actions.answer_call import answer_call
from apps.jobs.actions.archive_recipe import archive_recipe
from apps.jobs.actions.await_item import reply_hub
from apps.jobs.actions.begin_call import BegunStream, begin_call
from apps.jobs.actions.begin_repeat import begin_repeat
from apps.jobs.actions.cancel_all import cancel_all
from apps.jobs.actions.cancel_job import cancel_job
from apps.jobs.actions.change_lane import change_lane
from apps.jobs.actions.check_tools import tool_checker
from apps.jobs.actions.close_job import close_job
from apps.jobs.actions.close_turns import close_turns
from apps.jobs.actions.correct_answer import correct_answer, write_answer
from apps.jobs.actions.declare_recipe import Declaration, declare_recipe
from apps.jobs.actions.discard_dead import discard_dead
from apps.jobs.actions.dry_run_batch import dry_run_batch
from apps.jobs.actions.expand_prompts import prompt_expander, single_prompt_expander
from apps.jobs.actions.expire_files import expire_files
from apps.jobs.actions.expire_jobs import expire_jobs
from apps.jobs.actions.finish_job import finish_job
from apps.jobs.actions.follow_item import follow_item
from apps.jobs.actions.foresee_documents import foresee_documents
from apps.jobs.actions.forget_pieces import forget_pieces
from apps.jobs.actions.index_documents import index_documents
from apps.jobs.actions.keep_conversation import begin_conversation, change_conversation, fork_at
from apps.jobs.actions.mirror_dead import mirror_dead
from apps.jobs.actions.pause_job import pause_job, resume_job
from apps.jobs.actions.prepare_turn import find_sent, may_fork, turn_ask
from apps.jobs.actions.release_held import release_held
from apps.jobs.actions.repeat_call import find_repeats
from apps.jobs.actions.report import report_work
from apps.jobs.actions.report_waiting import report_waiting
from apps.jobs.actions.requeue_dead import requeue_dead, requeue_one
from apps.jobs.actions.require_room import find_shortages
from apps.jobs.actions.rerun_failed import rerun_failed
from apps.jobs.actions.ring import ring, wake_pumps
from apps.jobs.actions.run import run_items
from apps.jobs.actions.sample_progress import sample_progress
from apps.jobs.actions.say_turn import say_turn
from apps.jobs.actions.search_documents import search_documents
from apps.jobs.actions.start_waiting import start_waiting
from apps.jobs.actions.stream_call import stream_call
from apps.jobs.actions.submit_batch import submit_batch
from apps.jobs.actions.submit_documents import Chosen, Terms, submit_documents
from apps.jobs.actions.summarise_conversation import summarise_conversation
from apps.jobs.actions.sweep import sweep
from apps.jobs.actions.take_over_call import LeftCall, find_left, take_over_call
from apps.jobs.actions.validate_job import validate_job
from apps.jobs.actions.watch_jobs import KeyRefusedError, job_watch

__all__ = [
    "BegunStream",
    "Chosen",
    "Declaration",
    "KeyRefusedError",
    "LeftCall",
    "Terms",
    "advance_job",
    "answer_call",
    "archive_recipe",
    "begin_call",
    "begin_conversation",
    "begin_repeat",
    "cancel_all",
    "cancel_job",
    "change_conversation",
    "change_lane",
    "close_job",
    "close_turns",
    "correct_answer",
    "declare_recipe",
    "discard_dead",
    "dry_run_batch",
    "expire_files",
    "expire_jobs",
    "find_left",
    "find_repeats",
    "find_sent",
    "find_shortages",
    "finish_job",
    "follow_item",
    "foresee_documents",
    "forget_pieces",
    "fork_at",
    "index_documents",
    "job_watch",
    "may_fork",
    "mirror_dead",
    "pause_job",
    "prompt_expander",
    "release_held",
    "reply_hub",
    "report_waiting",
    "report_work",
    "requeue_dead",
    "requeue_one",
    "rerun_failed",
    "resume_job",
    "ring",
    "run_items",
    "sample_progress",
    "say_turn",
    "search_documents",
    "single_prompt_expander",
    "start_waiting",
    "stream_call",
    "submit_batch",
    "submit_documents",
    "summarise_conversation",
    "sweep",
    "take_over_call",
    "tool_checker",
    "turn_ask",
    "validate_job",
    "wake_pumps",
    "write_answer",
]
