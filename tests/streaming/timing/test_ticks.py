"""Whoever looks now and then does so at common moments, and never twice at the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.streaming.timing.ticks import BEAT_S, next_tick


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
    ids=["at the beginning", "between", "at a beat", "slower", "at a slower beat", "before the beginning"],
)
def test_the_next_beat(moment: float, every_s: float, expected: float) -> None:
    """Of a beat that began at 7."""
    assert next_tick(moment, 7.0, every_s) == pytest.approx(expected)


@given(since=st.floats(0, 1e7), beats=st.integers(0, 10**7))
def test_who_wakes_at_a_beat_waits_for_the_next(since: float, beats: int) -> None:
    """However large the numbers are: else a loop would spin."""
    at = since + beats * BEAT_S

    assert next_tick(at, since) - at == pytest.approx(BEAT_S, abs=1e-6)


@given(since=st.floats(0, 1e5), past=st.floats(0, 1e5))
def test_all_meet(since: float, past: float) -> None:
    """A slow look falls on a beat of the fast ones."""
    slow = next_tick(since + past, since, 2 * BEAT_S)

    beats = (slow - since) / BEAT_S
    assert beats == pytest.approx(round(beats), abs=1e-4)
    assert slow > since + past - 0.01 * 2 * BEAT_S
