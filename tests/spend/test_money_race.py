"""A hundred processes race for a budget that allows ten calls: exactly ten get one, each time."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from multiprocessing.synchronize import Barrier
from typing import Any

import pytest
from django.db import connections

from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.models import Item, Job
from apps.spend.models import BudgetPeriod, Reservation
from tests.jobs.rows import make_job
from tests.spend.purses import MODEL, claim, make_budget

PROCESSES, ROUNDS, ALLOWED = 100, 20, 10
_PATIENCE_SECONDS = 240


def _race(start: Barrier, end: Barrier, results: Any) -> None:
    """One process: it claims an item as soon as all are there, round after round."""
    for _ in range(ROUNDS):
        start.wait(_PATIENCE_SECONDS)
        results.put(len(claim(1)))
        end.wait(_PATIENCE_SECONDS)
    connections.close_all()


@contextmanager
def racers(*arguments: Any) -> Iterator[None]:
    """Forked from this process, which has everything loaded; none inherits a connection."""
    connections.close_all()
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=_race, args=arguments) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.join(_PATIENCE_SECONDS)
            process.kill()


@pytest.mark.timeout(1200)
@pytest.mark.django_db(transaction=True)
def test_exactly_ten_of_a_hundred_processes_get_a_call_twenty_times_over() -> None:
    fork = multiprocessing.get_context("fork")
    start, end, results = fork.Barrier(PROCESSES + 1), fork.Barrier(PROCESSES + 1), fork.SimpleQueue()
    with racers(start, end, results):
        for _ in range(ROUNDS):
            budget = make_budget(cap=str(ALLOWED))
            make_job(prompts=[f"prompt {n}" for n in range(PROCESSES)], model_id=MODEL)
            start.wait(_PATIENCE_SECONDS)
            taken = [results.get() for _ in range(PROCESSES)]
            end.wait(_PATIENCE_SECONDS)
            assert (sum(taken), max(taken)) == (ALLOWED, 1)
            assert Item.objects.filter(state=ItemState.RUNNING).count() == Reservation.objects.count() == ALLOWED
            assert BudgetPeriod.objects.get(budget=budget).reserved_usd == Decimal(ALLOWED)
            for table in (Reservation, Job):
                table.objects.all().delete()
            budget.delete()
