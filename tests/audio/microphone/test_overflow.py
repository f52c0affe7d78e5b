"""The length of an overflow, from time stamps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.audio.microphone.overflow import LONGEST_HOLD_S, SETTLE_S, SHORTEST_S, AdcClock, ArrivalClock

if TYPE_CHECKING:
    from random import Random

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


JITTER_S = 0.03
"""Most lateness of a block in time. One in ten is in time."""


@dataclass(frozen=True)
class Stall:
    """A time in which nobody takes blocks from the driver."""

    after_blocks: int
    length_s: float


def delivered(blocks: int, stalls: list[Stall], kept: int, chance: Random | None = None) -> list[tuple[float, int]]:
    """Simulate a driver that keeps the ``kept`` latest blocks while nobody takes them.

    Returns:
        Per block its arrival, and the number of blocks lost before it.
    """
    arrivals: list[tuple[float, int]] = []
    free_at, lost = 0.0, 0
    waits = {stall.after_blocks: stall.length_s for stall in stalls}
    for number in range(blocks):
        captured_at = (number + 1) * BLOCK_S
        free_at = max(free_at, captured_at) if number not in waits else captured_at + waits[number]
        # A block is lost if, by the time somebody takes it, ``kept`` newer ones are captured.
        if free_at - captured_at >= kept * BLOCK_S:
            lost += 1
            continue
        late_s = 0.0 if chance is None or number % 10 == 0 else chance.uniform(0, JITTER_S)
        arrivals.append((max(free_at, captured_at + late_s), lost))
        lost = 0
    return arrivals


def estimates(arrivals: list[tuple[float, int]]) -> tuple[list[int], int]:
    """Return the estimated lengths in frames, and the blocks that were held at most."""
    clock, found, held, most = ArrivalClock(RATE_HZ), [], 0, 0
    for at, lost in arrivals:
        frames = clock.lost(at + 5_000, FRAMES, None if lost else 0)
        held = held + 1 if frames is None else 0
        most = max(most, held)
        if frames:
            found.append(frames)
    return found, most


@pytest.mark.parametrize("stall_s", [0.4, 2, 30], ids="{} s".format)
def test_arrivals_give_the_length(stall_s: float) -> None:
    """Without time stamps the arrival of the blocks gives the length of an overflow, whatever the driver kept."""
    arrivals = delivered(900, [Stall(50, stall_s)], kept=3)
    lost = sum(lost for _, lost in arrivals) * FRAMES

    assert lost > 0
    assert estimates(arrivals)[0] == [pytest.approx(lost, abs=2)]


@given(st.randoms(use_true_random=False), st.lists(st.floats(0.3, 5), min_size=1, max_size=3), st.integers(1, 5))
def test_estimate_is_close(chance: Random, stalls_s: list[float], kept: int) -> None:
    """With late blocks the sum of the estimates is right to the lateness that is always there."""
    stalls = [Stall(60 + 160 * number, stall_s) for number, stall_s in enumerate(stalls_s)]
    arrivals = delivered(60 + 160 * len(stalls), stalls, kept, chance)
    lost = sum(lost for _, lost in arrivals)
    found, held = estimates(arrivals)

    assert sum(found) / RATE_HZ == pytest.approx(lost * BLOCK_S, abs=(JITTER_S + SHORTEST_S) * len(stalls))
    assert held * BLOCK_S <= LONGEST_HOLD_S + kept * BLOCK_S


def test_late_blocks_without_a_loss() -> None:
    """An overflow flag without a loss makes no hole, and holds the sound for a fraction of a second."""
    clock = ArrivalClock(RATE_HZ)
    for number in range(50):
        assert clock.lost(number * BLOCK_S, FRAMES, 0) == 0
    results = [clock.lost(number * BLOCK_S, FRAMES, None if number == 50 else 0) for number in range(50, 70)]
    held = results.index(0)

    assert results == [None] * held + [0] * (20 - held)
    assert held * BLOCK_S == pytest.approx(SETTLE_S, abs=BLOCK_S)


def test_overflow_at_the_start_has_no_estimate() -> None:
    """In the first second the lateness is not known yet, so nothing is held and no length is invented."""
    clock = ArrivalClock(RATE_HZ)

    assert [clock.lost(at, FRAMES, lost) for at, lost in ((0.0, 0), (0.04, 0), (0.5, None), (0.54, 0))] == [0] * 4


def test_known_losses_are_not_counted_again() -> None:
    """Frames that the driver counts belong to the time that has passed."""
    clock = ArrivalClock(RATE_HZ)
    at = 0.0
    for _ in range(50):
        clock.lost(at, FRAMES, 0)
        at += BLOCK_S
    assert clock.lost(at + 0.5, FRAMES, RATE_HZ // 2) == RATE_HZ // 2
    results = [clock.lost(at + 0.5 + number * BLOCK_S, FRAMES, None if number == 1 else 0) for number in range(1, 30)]

    assert set(results) == {None, 0}
