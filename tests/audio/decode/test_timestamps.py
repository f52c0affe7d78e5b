"""Timestamps: jumps and damaged packets are holes of the right length; rounding and jitter are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.audio.decode.timestamps import Timestamps

FRAME = 0.02


def lost(starts: list[float | None], length: float = FRAME) -> list[float]:
    """Seconds lost before each frame."""
    timestamps = Timestamps()
    return [round(timestamps.advance(start, length), 6) for start in starts]


@pytest.mark.parametrize(
    ("starts", "expected"),
    [
        ([0.0, 0.02, 0.04], [0, 0, 0]),
        ([5.0, 5.02, 5.04], [0, 0, 0]),  # the timeline begins with the first frame
        ([0.0, 0.02, 10.04, 10.06], [0, 0, 10, 0]),
        ([0.0, 0.021, 0.0415, 0.059], [0, 0, 0, 0]),  # rounding
        ([0.0, 0.04, 0.04, 0.08, 0.08], [0, 0, 0, 0, 0]),  # jitter
        ([0.0, 0.05, 0.1, 0.15, 0.2, 0.25], [0, 0, 0, 0, 0.12, 0]),  # many small holes
        ([0.0, 0.02, 0.0, 0.02], [0, 0, 0, 0]),  # the clock was set back
        ([None, None, None], [0, 0, 0]),
        ([0.0, 9000.0, 9000.02], [0, 0, 0]),  # another clock
    ],
)
def test_holes(starts: list[float | None], expected: list[float]) -> None:
    """A hole is where the time stamps are more than 100 ms ahead of the sound."""
    assert lost(starts) == expected


@pytest.mark.parametrize("start", [0.02, None])
def test_a_packet_that_cannot_be_decoded_is_a_hole_of_its_length(start: float | None) -> None:
    """After such a packet even a single frame is a hole, also in a track without time stamps."""
    timestamps = Timestamps()
    timestamps.advance(0.0 if start is not None else None, FRAME)
    timestamps.skip(start, FRAME)

    assert timestamps.failed
    assert timestamps.advance(None if start is None else 0.04, FRAME) == pytest.approx(FRAME)
    assert not timestamps.failed


def test_the_first_packet_cannot_be_decoded() -> None:
    """The timeline begins with the damaged packet."""
    timestamps = Timestamps()
    timestamps.skip(1.0, FRAME)

    assert timestamps.advance(1.02, FRAME) == pytest.approx(FRAME)


def test_another_clock_is_noted() -> None:
    """A jump of more than an hour is no hole, but it is noted."""
    timestamps = Timestamps()
    for start in (0.0, 90_000.0):
        timestamps.advance(start, FRAME)

    assert timestamps.jumped


@given(st.lists(st.floats(0.2, 100), max_size=5), st.floats(-0.001, 0.001))
def test_all_holes_are_found(holes: list[float], rounding: float) -> None:
    """The sum of the holes is that of the jumps, whatever the rounding of the time stamps."""
    at, starts = 0.0, []
    for hole in [*holes, 0.0]:
        starts += [at, at + FRAME + rounding]
        at += 2 * FRAME + hole

    assert sum(lost(list(starts))) == pytest.approx(sum(holes), abs=0.01)
