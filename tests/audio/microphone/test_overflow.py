"""The length of an overflow, from time stamps."""

from __future__ import annotations

import pytest

from rt_cli.audio.microphone.overflow import AdcClock

RATE_HZ = 48_000
FRAMES = 1_920
BLOCK_S = FRAMES / RATE_HZ


def after_steady(seconds: float, start: float = 1000.0) -> tuple[AdcClock, float]:
    """A clock after steady blocks, and the time stamp of the next block."""
    clock = AdcClock(RATE_HZ)
    at = start
    for _ in range(round(seconds / BLOCK_S)):
        assert clock.lost(at, FRAMES, overflowed=False) == 0
        at += BLOCK_S
    return clock, at


def test_steady_clock_gives_the_length() -> None:
    """With steady time stamps the step across an overflow is its length."""
    clock, at = after_steady(2)

    assert clock.lost(at + 0.25, FRAMES, overflowed=True) == RATE_HZ // 4


def test_second_overflow_is_measured_from_the_next_block() -> None:
    """A second overflow is measured from the block after the first."""
    clock, at = after_steady(2)
    clock.lost(at + 0.25, FRAMES, overflowed=True)

    assert clock.lost(at + 0.25 + BLOCK_S + 0.5, FRAMES, overflowed=True) == RATE_HZ // 2


@pytest.mark.parametrize(
    ("steady_s", "start", "step_s"),
    [
        pytest.param(0.5, 1000.0, 0.25, id="not steady for long enough"),
        pytest.param(2, -5000.0, 0.25, id="no time stamps"),
        pytest.param(2, 1000.0, -0.1, id="backwards"),
        pytest.param(2, 1000.0, 3600.0, id="the clock was set"),
    ],
)
def test_unreliable_length_is_unknown(steady_s: float, start: float, step_s: float) -> None:
    """With unreliable time stamps the length of the overflow is None."""
    clock, at = after_steady(steady_s, start)

    assert clock.lost(at + step_s, FRAMES, overflowed=True) is None


def test_jump_without_overflow_is_no_loss() -> None:
    """A jump without overflow is no loss, and makes the time stamps unreliable for a while."""
    clock, at = after_steady(2)

    assert clock.lost(at + 0.04, FRAMES, overflowed=False) == 0
    assert clock.lost(at + 0.04 + BLOCK_S + 1, FRAMES, overflowed=True) is None
