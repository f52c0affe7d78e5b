"""Periodic checks have common moments, and no check has the same moment twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.streaming.timing.ticks import TICK_S, next_tick


@pytest.mark.parametrize(
    ("moment", "every_s", "expected"),
    [
        (7.0, 0.1, 7.1),
        (7.05, 0.1, 7.1),
        (7.1, 0.1, 7.2),
        (7.05, 0.2, 7.2),
        (7.2, 0.2, 7.4),
        (6.95, 0.1, 7.0),
    ],
    ids=["at the beginning", "between", "at a tick", "slower", "at a slower tick", "before the beginning"],
)
def test_the_next_tick(moment: float, every_s: float, expected: float) -> None:
    """Of ticks that began at 7."""
    assert next_tick(moment, 7.0, every_s) == pytest.approx(expected)


@given(since=st.floats(0, 1e7), ticks=st.integers(0, 10**7))
def test_a_wake_up_at_a_tick_waits_for_the_next_one(since: float, ticks: int) -> None:
    """However large the numbers are; otherwise a loop would spin."""
    at = since + ticks * TICK_S

    assert next_tick(at, since) - at == pytest.approx(TICK_S, abs=1e-6)


@given(since=st.floats(0, 1e5), past=st.floats(0, 1e5))
def test_slow_ticks_are_among_the_fast_ones(since: float, past: float) -> None:
    """A multiple of the tick."""
    slow = next_tick(since + past, since, 2 * TICK_S)

    ticks = (slow - since) / TICK_S
    assert ticks == pytest.approx(round(ticks), abs=1e-4)
    assert slow > since + past - 0.01 * 2 * TICK_S
