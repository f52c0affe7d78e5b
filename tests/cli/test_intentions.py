"""What a signal means, by the time at which it comes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.cli.intentions import SAME_INTENTION_S, Intention, Intentions

END, HURRY, EXIT, REPEATED = Intention.END, Intention.HURRY, Intention.EXIT, Intention.REPEATED


@pytest.mark.parametrize(
    ("times", "intentions"),
    [
        pytest.param([0.0], [END], id="one"),
        pytest.param([0.0, 0.001], [END, REPEATED], id="timeout signals the process and its group"),
        pytest.param([0.0, 0.0, 0.0], [END, REPEATED, REPEATED], id="at the same moment"),
        pytest.param([0.0, 0.249], [END, REPEATED], id="just within"),
        pytest.param([0.0, 0.25], [END, HURRY], id="just not"),
        pytest.param([0.0, 1.0, 2.0], [END, HURRY, EXIT], id="three"),
        pytest.param([0.0, 1.0, 2.0, 9.0], [END, HURRY, EXIT, EXIT], id="a fourth"),
        pytest.param([0.0, 0.2, 0.4, 0.6], [END, REPEATED, HURRY, REPEATED], id="the time does not start anew"),
        pytest.param([5.0, 5.1, 7.0, 7.1, 9.0], [END, REPEATED, HURRY, REPEATED, EXIT], id="doubled, three times"),
        pytest.param([1e9, 1e9 + 0.3], [END, HURRY], id="a machine that runs for thirty years"),
    ],
)
def test_table(times: list[float], intentions: list[Intention]) -> None:
    """Each row: the times of the signals in seconds, and what each of them means."""
    decider = Intentions()
    assert [decider.receive(now) for now in times] == intentions


@given(st.lists(st.floats(0, 100), max_size=40).map(sorted))
def test_steps_come_in_order_and_apart(times: list[float]) -> None:
    """Nobody is hurried, or ended at once, by signals of one moment."""
    decider = Intentions()
    steps = [(now, intention) for now in times if (intention := decider.receive(now)) is not REPEATED]
    assert [intention for _, intention in steps][:3] == [END, HURRY, EXIT][: len(steps)]
    assert all(after - before >= SAME_INTENTION_S for (before, _), (after, _) in pairwise(steps))


@given(st.floats(0.01, 5))
def test_whoever_goes_on_pressing_gets_through(interval: float) -> None:
    """However fast: within two presses more than half a second."""
    decider, now = Intentions(), 0.0
    while decider.receive(now) is not EXIT:
        now += interval
    assert now <= 2 * (SAME_INTENTION_S + interval)
