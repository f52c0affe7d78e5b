"""How far audio on the tape is quiet, and where its last sound ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.audio.format import silence
from rt_cli.streaming.delivery.speech_search import QuietPrefix, last_sound, last_speech
from rt_cli.timeline.tape import Tape
from tests.fakes import run

if TYPE_CHECKING:
    from rt_cli.streaming.capture.turn_analysis import Detector

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


@pytest.mark.parametrize(("any_sound", "end"), [(True, 3 * RATE + 120), (False, None)])
def test_sound_ends_with_its_last_loud_frame(*, any_sound: bool, end: int | None) -> None:
    """Not with the piece in which it is searched: the rest of that is silence."""

    class Deaf:
        frame_samples = 32

        def push(self, pcm: bytes) -> list[float]:
            return [0.0] * (len(pcm) // 64)

    tape = Tape(RATE)
    tape.append(silence(3 * RATE) + LOUD + silence(500) + NOISE)
    tape.mark_sent(tape.captured)
    found = run(last_speech(tape, 0, lambda _rate: Deaf(), threshold=0.5, any_sound=any_sound))

    assert found == end


def test_the_last_sound_needs_no_model() -> None:
    """Noise of a room is none; what is settled is none either."""
    tape = Tape(RATE)
    tape.append(silence(3 * RATE) + LOUD + silence(500) + NOISE + silence(3 * RATE))
    tape.mark_sent(tape.captured)
    assert run(last_sound(tape, 0)) == pytest.approx(3 * RATE + 100, abs=32)
    assert run(last_sound(tape, 3 * RATE + 132)) is None
    tape.settle(3 * RATE + 132)
    assert run(last_sound(tape, 0)) is None


@pytest.mark.parametrize(("any_sound", "end"), [(True, 100 + RATE), (False, None)])
@pytest.mark.parametrize("any_speech", [True, False])
def test_sound_that_has_made_room_may_have_been_speech(*, any_sound: bool, any_speech: bool, end: int | None) -> None:
    """Where nobody else tells of speech; settled sound was none."""
    tape = Tape(RATE)
    for sound in (LOUD, silence(RATE), silence(3 * RATE)):
        tape.append(sound)
        tape.mark_sent(tape.captured)
    tape.forget(100 + RATE)

    def search(start: int) -> int | None:
        def no_detector(_rate: int) -> Detector:
            raise AssertionError("silence needs none")

        return run(last_speech(tape, start, no_detector, threshold=0.5, any_speech=any_speech, any_sound=any_sound))

    assert search(0) == end
    assert search(100 + RATE) is None
    tape.settle(100 + RATE)
    assert search(0) is None


def test_a_hole_was_no_speech() -> None:
    """Sound that was never sent is in no turn."""
    tape = Tape(RATE)
    for sound in (LOUD, silence(RATE)):
        tape.append(sound)
    tape.forget(100)
    tape.drop(0, 100, "full")
    assert tape.gone_from(0) is None


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
