"""A part that dies is started again, later each time."""

from apps.ops.domain.restarts import Restarts


def test_each_death_in_a_row_waits_twice_as_long_up_to_thirty_seconds() -> None:
    restarts, delays = Restarts().after_start(0.0), []
    for _ in range(8):
        restarts = restarts.after_death(1.0)
        delays.append((restarts.start_again_at or 0) - 1.0)
    assert delays == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_a_part_that_ran_for_a_minute_starts_from_the_beginning() -> None:
    restarts = Restarts(deaths=6).after_start(100.0).after_death(160.0)
    assert (restarts.deaths, restarts.start_again_at) == (1, 160.5)


def test_hopeless_is_who_never_was_healthy_and_died_three_times() -> None:
    assert not Restarts(deaths=2).is_hopeless()
    assert Restarts(deaths=3).is_hopeless()
    assert not Restarts(deaths=9, has_been_healthy=True).is_hopeless()


def test_a_start_forgets_when_to_start() -> None:
    assert Restarts().after_death(5.0).after_start(6.0).start_again_at is None
