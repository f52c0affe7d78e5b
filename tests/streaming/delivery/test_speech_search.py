"""How far audio on the tape is quiet."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rt_cli.audio.format import silence
from rt_cli.streaming.delivery.speech_search import QuietPrefix
from rt_cli.timeline.tape import Tape

RATE = 1000
LOUD = (8000).to_bytes(2, "little") * 100
NOISE = (30).to_bytes(2, "little") * 100


def test_loud_audio_ends_the_quiet_prefix() -> None:
    """Noise of a room does not; what is settled already does not count."""
    tape = Tape(RATE)
    tape.append(NOISE + silence(400) + LOUD + silence(400))
    quiet = QuietPrefix(tape)
    assert quiet.reaches(500)
    assert not quiet.reaches(600)
    assert not quiet.reaches(1000)
    tape.settle(500)
    assert not quiet.reaches(600)
    tape.settle(600)
    assert quiet.reaches(1000)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 200)), max_size=8), st.lists(st.integers(0, 1600), max_size=6))
def test_the_answer_is_that_of_the_whole_audio(parts: list[tuple[bool, int]], asked: list[int]) -> None:
    """Whatever was asked before; to a frame of 32 ms."""
    tape = Tape(RATE)
    for loud, length in parts:
        tape.append((8000).to_bytes(2, "little") * length if loud else silence(length))
    first = sum(length for _, length in parts[: next((i for i, part in enumerate(parts) if part[0]), len(parts))])
    quiet = QuietPrefix(tape)
    for end in sorted(min(each, tape.captured) for each in asked):
        if end <= first:
            assert quiet.reaches(end)
        elif end >= first + 32:
            assert not quiet.reaches(end)
