"""Percentiles from buckets are those of all the values, to half a percent."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.bench.histogram import Histogram

VALUES = st.lists(st.floats(0, 1e7, allow_subnormal=False), min_size=1, max_size=300)


def filled(values: list[float]) -> Histogram:
    """A histogram of values."""
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


@given(VALUES, st.floats(0.001, 1))
def test_percentile_equals_numpy(values: list[float], share: float) -> None:
    """Each percentile equals the nearest-rank value of numpy."""
    expected = float(np.percentile(values, share * 100, method="inverted_cdf"))
    # share * 100 / 100 may differ from share by rounding: accept the neighbouring values.
    near = [float(np.percentile(values, at * 100, method="inverted_cdf")) for at in (share * 0.999999, share)]
    near.append(float(np.percentile(values, min(100.0, share * 100.0001), method="inverted_cdf")))
    found = filled(values).percentile(share)
    # The highest bucket counts as its highest value: a bucket is 1 % wide.
    assert any(found == pytest.approx(value, rel=0.0102, abs=0.001) for value in (expected, *near))


@given(VALUES)
def test_percentiles(values: list[float]) -> None:
    """Maximum and count are exact, and the percentiles are in order."""
    told = filled(values).percentiles()
    assert told is not None
    assert (told.max, told.n) == (max(values), len(values))
    assert min(values) <= told.p50 <= told.p95 <= told.p99 <= told.max


@given(VALUES)
def test_curve_is_a_distribution(values: list[float]) -> None:
    """The curve rises in both directions, up to all values."""
    curve = filled(values).curve()
    assert curve == sorted(curve)
    assert curve[-1] == (max(values), 1.0)


def test_large_sample() -> None:
    """100 000 latencies need a few hundred buckets."""
    values = np.random.default_rng(7).lognormal(5, 1, 100_000)
    histogram = filled(values.tolist())
    for share in (0.5, 0.95, 0.99):
        expected = np.percentile(values, share * 100, method="inverted_cdf")
        assert histogram.percentile(share) == pytest.approx(expected, rel=0.0051)
    assert len(histogram.curve()) < 1500


def test_few_values() -> None:
    """With three values the p95 is the maximum, and ``n`` is 3."""
    told = filled([10, 20, 1000]).percentiles()
    assert told is not None
    assert (told.p95, told.p99, told.n) == (1000, 1000, 3)


def test_no_values() -> None:
    """Without values there are no percentiles; a negative value counts as zero."""
    assert Histogram().percentiles() is None
    assert Histogram().percentile(0.5) is None
    assert Histogram().curve() == []
    assert filled([-3.0]).percentile(0.5) == 0
