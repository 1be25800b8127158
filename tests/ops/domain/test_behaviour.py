"""Behaviours are read strictly, and change only in what is given."""

from random import Random
from typing import Any

import pytest

from apps.ops.domain.behaviour import Behaviour, read_behaviour
from apps.ops.domain.simulation import Script, SimulationInvalidError

BASE = Behaviour(latency=float, requests_per_minute=5)


def read(base: Behaviour = BASE, **values: Any) -> Behaviour:
    return read_behaviour(values, base, Random(1))


def test_what_is_left_out_stays() -> None:
    changed = read(script="status=503", seconds=60, fail="500:0.5")
    assert (changed.requests_per_minute, changed.script, changed.failures) == (5, Script(status=503), ((Script(status=500), 0.5),))
    assert (read(changed, script="").script, read(changed, script="hang").seconds) == (None, 0.0)
    assert read(changed, requests_per_minute=None, fail="").requests_per_minute is None


def test_a_script_ends_after_its_seconds() -> None:
    storm = read(script="status=503", seconds=60)
    assert (storm.script_at(59.9), storm.script_at(60)) == (Script(status=503), None)
    assert read(script="hang").script_at(10**9) == Script(hang=True)


def test_latency_drifts_by_the_minute() -> None:
    drifting = read(latency="fixed:100", drift_per_minute=2)
    assert [drifting.latency_at(seconds) for seconds in (0, 60, 120)] == pytest.approx([0.1, 0.2, 0.4])


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"colour": 1}, "'colour' is no key"),
        ({"script": 7}, "script must be a text"),
        ({"script": "fly"}, "'fly' is no word"),
        ({"latency": "slow"}, "is no latency"),
        ({"seconds": -1}, "seconds must be"),
        ({"seconds": None}, "seconds must be"),
        ({"requests_per_minute": 1.5}, "whole number"),
        ({"tokens_per_minute": True}, "whole number"),
        ({"drift_per_minute": 101}, "drift_per_minute must be"),
    ],
)
def test_what_cannot_be_read_is_told(values: dict[str, Any], told: str) -> None:
    with pytest.raises(SimulationInvalidError, match=told):
        read(**values)
