"""Samples of running operations, and the curve of them."""

import pytest

from holdfast.web.showing.throughput import MAX_SAMPLES, Sample, Samples, throughput


def test_samples_are_bounded_and_reach_back() -> None:
    samples = Samples()
    for number in range(5 * MAX_SAMPLES):
        samples.note(number * 1000, [("op", number * 10), ("other", 0)])
    kept = samples.of("op")
    assert len(kept) <= MAX_SAMPLES
    assert kept[0] == Sample(0, 0)
    assert kept[-1].at == (5 * MAX_SAMPLES - 1) * 1000
    assert [sample.at for sample in kept] == sorted({sample.at for sample in kept})
    samples.note(10_000_000, [("other", 1)])
    assert samples.of("op") == ()


def test_the_first_reading_reaches_from_the_beginning_to_the_first_sample() -> None:
    curve = throughput(0, [Sample(10_000, 1_000_000)], Sample(12_000, 1_500_000))
    assert curve is not None
    assert [reading.rate for reading in curve.readings] == [100_000, 250_000]
    assert (curve.latest, curve.highest) == (250_000, 250_000)
    assert curve.mean == pytest.approx(125_000)
    assert curve.path().startswith("M0 64L0.0 ")


def test_a_step_that_begins_anew_is_not_a_negative_rate() -> None:
    curve = throughput(0, [Sample(1_000, 900), Sample(2_000, 100)], Sample(3_000, 300))
    assert curve is not None
    assert [reading.rate for reading in curve.readings] == [900, 0, 200]


def test_nothing_is_said_too_early_or_with_a_clock_that_went_back() -> None:
    assert throughput(None, [], Sample(1_000, 50)) is None
    assert throughput(1_000, [], Sample(1_100, 50)) is None
    assert throughput(5_000, [Sample(1_000, 7)], Sample(4_000, 50)) is None


def test_a_table_sums_neighbours_up() -> None:
    samples = [Sample(number * 1000, number * 100) for number in range(1, 101)]
    curve = throughput(0, samples, Sample(101_000, 10_100))
    assert curve is not None
    rows = curve.rows()
    assert len(rows) <= 12
    assert {round(row.rate) for row in rows} == {100}
    assert (rows[0].start, rows[-1].end) == (0, 101_000)
