"""A job's course: rates and bars from samples."""

import pytest

from apps.jobs.domain.samples import Sample, read_sample, read_samples, recent_rate, to_bars


def test_a_sample_survives_its_text() -> None:
    sample = Sample(1_763_000_000.5, 12, 3)
    assert read_sample(sample.to_text()) == sample


@pytest.mark.parametrize("text", ["", "x", "1 2", "1 2 3 4", "1 2 x", "nan 1 1", "1 inf 1", "1 -2 3", "1 2 1e300", "\ufffd"])
def test_what_is_no_sample_is_left_out(text: str) -> None:
    assert read_sample(text) is None
    assert read_samples(["20 2 0", text, "10 1 0"]) == [Sample(10, 1, 0), Sample(20, 2, 0)]


def test_the_recent_rate_is_that_of_the_last_minute() -> None:
    samples = [Sample(0, 0, 0), Sample(940, 100, 0), Sample(1000, 700, 0)]
    assert recent_rate(samples) == pytest.approx(10)


@pytest.mark.parametrize("samples", [[], [Sample(5, 1, 0)], [Sample(5, 1, 0), Sample(5.2, 9, 0)], [Sample(0, 0, 0), Sample(500, 9, 0)]])
def test_too_little_tells_no_rate(samples: list[Sample]) -> None:
    assert recent_rate(samples) is None


def test_a_rerun_is_no_negative_rate() -> None:
    assert recent_rate([Sample(0, 10, 5), Sample(30, 10, 0)]) == 0


def test_bars_hold_all_that_ended() -> None:
    samples = [Sample(float(10 * n), n * n, n) for n in range(300)]
    bars = to_bars(samples)
    assert len(bars) == 60
    assert sum(bar.done * bar.seconds for bar in bars) == pytest.approx(299 * 299)
    assert sum(bar.dead * bar.seconds for bar in bars) == pytest.approx(299)
    assert bars[0].at == 0


def test_a_job_that_has_just_begun_has_one_bar() -> None:
    assert [bar.done for bar in to_bars([Sample(0, 0, 0), Sample(2, 8, 0)])] == [4]
    assert to_bars([Sample(1, 0, 0), Sample(1, 0, 0)]) == []
