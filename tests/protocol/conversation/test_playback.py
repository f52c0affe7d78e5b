"""Playback on a virtual clock: positions are exact, whatever the arrival."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rt_cli.protocol.conversation.playback import Playback

A, B = ("item_a", 0), ("item_b", 0)


def sound(samples: int, value: int = 1) -> bytes:
    """Return samples that can be recognised."""
    return value.to_bytes(2, "little") * samples


def test_audio_sounds_from_its_arrival() -> None:
    """No buffer: position 0 of the reply is the position of its arrival."""
    playback = Playback()

    assert playback.add(A, sound(100), 1000) == 1000
    assert [playback.played(A, now) for now in (1000, 1001, 1050, 1100, 2000)] == [0, 1, 50, 100, 100]


def test_audio_waits_for_the_audio_before_it() -> None:
    """A burst is played one after the other, across messages."""
    playback = Playback()
    playback.add(A, sound(100), 0)

    assert playback.add(A, sound(50), 10) == 100
    assert playback.add(B, sound(50), 20) == 150
    assert (playback.played(A, 160), playback.played(B, 160)) == (150, 10)
    assert playback.sounding(199)
    assert not playback.sounding(200)


def test_late_audio_leaves_a_gap() -> None:
    """It sounds when it comes; the gap is none of its samples."""
    playback = Playback()
    playback.add(A, sound(10), 0)

    assert playback.add(A, sound(10), 30) == 30
    assert playback.played(A, 35) == 15


def test_what_is_stopped_never_sounds() -> None:
    """Neither later, nor by what comes after it."""
    playback = Playback()
    playback.add(A, sound(100, 1), 0)
    playback.stop(40)
    playback.add(B, sound(10, 2), 50)

    assert playback.played(A, 1000) == 40
    assert [(heard.start, heard.pcm) for heard in playback.take_heard(1000)] == [(0, sound(40, 1)), (50, sound(10, 2))]


STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "stop", "look", "take"]), st.integers(0, 50), st.integers(0, 30)), max_size=40
)


@given(STEPS)
def test_every_sample_sounds_once_at_its_place_or_never(steps: list[tuple[str, int, int]]) -> None:
    """What was taken is in order, without overlap; the sum is what was played."""
    playback, now, heard, added = Playback(), 0, [], 0
    for what, wait, samples in steps:
        now += wait
        if what == "add":
            added += samples
            assert playback.add(A, sound(samples), now) >= now
        elif what == "stop":
            playback.stop(now)
            assert not playback.sounding(now)
        elif what == "look":
            assert playback.played(A, now) <= added
        else:
            heard += playback.take_heard(now)
    now += 10_000
    heard += playback.take_heard(now)

    ends = [0, *(each.start + len(each.pcm) // 2 for each in heard)]
    assert all(each.start >= end for each, end in zip(heard, ends, strict=False))
    assert sum(len(each.pcm) // 2 for each in heard) == playback.played(A, now) <= added
