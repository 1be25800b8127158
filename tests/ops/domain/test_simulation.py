"""Scripts, latencies and shares of failures are read strictly."""

from random import Random

import pytest

from apps.ops.domain.simulation import Script, SimulationInvalidError, find_script, read_failures, read_latency


@pytest.mark.parametrize(
    ("prompt", "script"),
    [
        (b"hello", None),
        (b'{"content":"[[sim status=500 times=2 delay=0.2]] hello"}', Script(status=500, times=2, delay=0.2)),
        (b"[[sim hang]]", Script(hang=True)),
        (b"[[sim cut]] [[sim hang]]", Script(cut=True)),
        (b"[[sim malformed drip delay=0]]", Script(malformed=True, drip=True, delay=0.0)),
        (b"[[sim status=429 retry_after=3]]", Script(status=429, retry_after=3.0)),
        (b"[[sim tokens=40 body_kilobytes=2]]", Script(tokens=40, body_kilobytes=2)),
        (b"[[simple]]", None),
    ],
)
def test_find_script(prompt: bytes, script: Script | None) -> None:
    assert find_script(prompt) == script


@pytest.mark.parametrize(
    "words", ["fly", "status", "status=", "status=99", "status=600", "times=-1", "times=1.5", "delay=nan", "delay=inf", "hang=1", "\xff"]
)
def test_find_script_names_the_word_it_cannot_read(words: str) -> None:
    with pytest.raises(SimulationInvalidError, match=words.partition("=")[0] if words.isascii() else "is no word"):
        find_script(f"[[sim {words}]]".encode("latin-1"))


def test_latency_fixed() -> None:
    assert read_latency("fixed:50", Random(1))() == 0.05


def test_latency_uniform_stays_between_its_bounds() -> None:
    draw = read_latency("uniform:20:80", Random(1))
    drawn = [draw() for _ in range(1000)]
    assert 0.02 <= min(drawn) < 0.03
    assert 0.07 < max(drawn) <= 0.08


def test_latency_lognormal_has_the_median_and_the_99th_percentile_asked_for() -> None:
    draw = read_latency("lognormal:3000:30000", Random(1))
    drawn = sorted(draw() for _ in range(20_000))
    assert drawn[10_000] == pytest.approx(3, rel=0.05)
    assert drawn[19_800] == pytest.approx(30, rel=0.15)


@pytest.mark.parametrize(
    "text", ["", "fixed", "fixed:", "fixed:x", "fixed:-1", "fixed:inf", "fixed:1:2", "uniform:1", "lognormal:9:1", "lognormal:0:1", "odd:1"]
)
def test_latency_refuses_what_it_cannot_read(text: str) -> None:
    with pytest.raises(SimulationInvalidError, match="is no latency"):
        read_latency(text, Random(1))


def test_failures() -> None:
    assert read_failures("429:0.05,500:0.01,hang:0.001,cut:0,malformed:0.01") == [
        (Script(status=429, retry_after=1.0), 0.05),
        (Script(status=500), 0.01),
        (Script(hang=True), 0.001),
        (Script(cut=True), 0.0),
        (Script(malformed=True), 0.01),
    ]
    assert read_failures("") == []


@pytest.mark.parametrize("text", ["429", "429:", "429:x", "429:nan", "429:-0.1", "429:1.1", "99:0.1", "odd:0.1", "429:0.6,500:0.6"])
def test_failures_refuse_what_they_cannot_read(text: str) -> None:
    with pytest.raises(SimulationInvalidError, match=r"share"):
        read_failures(text)
