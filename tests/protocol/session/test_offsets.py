"""Offsets of speech events: of the session, of the buffer, of a clock."""

from __future__ import annotations

import pytest

from rt_cli.protocol.session.offsets import Offsets


def test_a_restart_that_only_the_end_shows() -> None:
    """The turn lies behind the one before it, although no ``committed`` came between them."""
    offsets = Offsets(rate_hz=1000)
    assert (offsets.start(100, 9000, 0), offsets.end(4000, 9000, 0)) == (100, 4000)
    assert (offsets.start(3600, 9000, 0), offsets.end(3900, 9000, 0)) == (3600, 7900)


@pytest.mark.parametrize(("prefix_ms", "start"), [(0, 800), (300, 200)])
def test_the_prefix_padding_tells_a_restart_from_an_overlap(prefix_ms: float, start: int) -> None:
    """A turn begins earlier than the end of the one before it only by its prefix padding."""
    offsets = Offsets(1000, prefix_ms)
    assert (offsets.start(100, 9000, 0), offsets.end(600, 9000, 0)) == (100, 600)
    offsets.committed(None)
    assert offsets.start(200, 9000, 0) == start


def test_a_restart_that_is_seen_late_has_its_true_base() -> None:
    """The second turn begins, counted from the first, as late as one that grows."""
    offsets = Offsets(rate_hz=1000)
    for start, end in ((100, 1000), (1500, 3000)):
        assert (offsets.start(start, 9000, 0), offsets.end(end, 9000, 0)) == (start, end)
        offsets.committed(None)
    assert (offsets.start(100, 9000, 0), offsets.end(2000, 9000, 0)) == (4100, 6000)


def test_offsets_that_must_grow_never_restart() -> None:
    """Counted from the last commit, one of them was beyond the audio: an earlier one is a mistake."""
    offsets = Offsets(rate_hz=1000)
    offsets.start(100, 2100, 0)
    offsets.end(2000, 2100, 0)
    offsets.committed(None)
    assert (offsets.start(3000, 4000, 1), offsets.end(4000, 4100, 2)) == (3000, 4000)
    offsets.committed(None)
    assert offsets.start(100, 9000, 3) is None
    assert offsets.next_connection().grows


@pytest.mark.parametrize("speed", [2.0, 20.0, 1000.0])
def test_offsets_of_a_clock_are_not_believed(speed: float) -> None:
    """The audio is sent faster than real time, and the offsets follow the time."""
    offsets, believed = Offsets(rate_hz=1000), []
    for number in range(6):
        for place in (number * 3000 + 500, number * 3000 + 2500):
            now = place / speed / 1000
            convert = offsets.start if place % 3000 == 500 else offsets.end
            believed.append(convert(round(now * 1000), place + 100, now))
    assert believed[-8:] == [None] * 8
    assert offsets.next_connection().clock


@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0, 20.0, 1000.0])
def test_true_offsets_are_believed_at_every_speed(speed: float) -> None:
    """Of the audio and of the endpoint."""
    offsets = Offsets(rate_hz=1000)
    for number in range(6):
        for place in (number * 3000 + 500, number * 3000 + 2500):
            convert = offsets.start if place % 3000 == 500 else offsets.end
            assert convert(place, place + 100, place / speed / 1000) == place
