"""A stack under random faults for minutes: nothing is lost, nothing is charged twice (make soak; SOAK_SECONDS, SOAK_ITEMS, SOAK_SEED)."""

import os
import secrets

import pytest

from tests.chaos import soak
from tests.chaos.reckoning import reckon_stack
from tests.chaos.stack import Stack
from tests.chaos.tables import say
from tests.simulated import running_simulator

SECONDS = float(os.environ.get("SOAK_SECONDS", "600"))
ITEMS = int(os.environ.get("SOAK_ITEMS", "20000"))
SEED = int(os.environ.get("SOAK_SEED", "0")) or secrets.randbelow(10**6)


def hold(made: soak.Soak, stack: Stack) -> None:
    stack.environment |= soak.SETTINGS
    # Whatever comes of it, what repeats it is told.
    say(f"soak, seed {made.seed}", f"SOAK_SEED={made.seed} repeats its faults")
    with running_simulator("--latency", "lognormal:400:3000", "--seed", str(made.seed)) as simulator:
        up = stack.up()
        try:
            soak.run(made, stack, up, simulator)
            checked = stack.manage("check_invariants", "--at-rest")
        finally:
            say(f"soak, seed {made.seed}: faults", "\n".join(made.strikes))
        soak.report(made)
        say(f"soak, seed {made.seed}: promises", checked.stdout)
        reckoned = reckon_stack(stack, simulator, database_url=up["database_url"])
    assert checked.returncode == 0, checked.stdout + checked.stderr
    found = made.found
    assert sum(found["states"].values()) == made.items
    assert set(found["states"]) <= {"done", "dead"}
    assert (found["doubled"], found["stale"], found["unanswered"], found["unexplained"]) == (0, 0, 0, 0)
    assert found["charges"] == found["states"]["done"]
    money = found["money"]
    assert money["charges"] == money["jobs"] == money["ledger"] == money["budget"]
    assert found["answers"] - sum(found["waste"].values()) == found["charges"] == reckoned.charged.calls


@pytest.mark.chaos
@pytest.mark.long
@pytest.mark.timeout(900)
def test_half_a_minute_of_faults(stack: Stack) -> None:
    hold(soak.Soak(seed=SEED, seconds=30, items=1000, batches=5, pause_seconds=(1, 5)), stack)


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 900)
def test_soak(stack: Stack) -> None:
    hold(soak.Soak(seed=SEED, seconds=SECONDS, items=ITEMS, batches=40), stack)
