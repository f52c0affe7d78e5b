"""Client-side turn detection, ahead of the sending."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from rt_cli.audio.speech.endpointing import TurnCloses, TurnOpens
from rt_cli.settings import SessionSettings
from rt_cli.streaming.capture.turn_analysis import TurnAnalysis
from rt_cli.streaming.capture.turn_marks import TurnMarks
from rt_cli.streaming.timing.change_signal import ChangeSignal
from rt_cli.timeline.tape import Tape
from tests.exact import ExactDetector, speech, turns
from tests.fakes import run

RATE = 24_000
SETTINGS = SessionSettings(silence_ms=200, prefix_ms=0)


class Ended:
    """A capture that has ended."""

    ended = True


def marks_of(pcm: bytes, *, start: int = 0) -> TurnMarks:
    """Analyse audio that begins at a position of the timeline."""

    async def scenario() -> TurnMarks:
        tape = Tape(RATE)
        tape.restore(start, 0)
        analysis = TurnAnalysis(tape, cast("Any", Ended()), ChangeSignal(), SETTINGS, ExactDetector)
        tape.append(pcm)
        await asyncio.wait_for(analysis.run(), 5)
        return analysis.marks

    return run(scenario())


def listed(marks: TurnMarks, end: int) -> list[int]:
    """Return where turns open and, as negative numbers, close before a position."""
    opens, closes, at = [], [], 0
    while (found := marks.opens_in(at, end)) is not None:
        opens.append(found)
        at = found + 1
    at = 0
    while (found := marks.closes_after(at)) is not None:
        closes.append(-found)
        at = found + 1
    return sorted([*opens, *closes], key=abs)


@pytest.mark.parametrize("start", [0, 7 * RATE + 123], ids=["from the beginning", "where another run ended"])
def test_every_turn_opens_and_closes_in_its_silence(start: int) -> None:
    """A turn opens at most a frame before its speech and closes after 200 ms of silence, in frames."""
    pcm, spans = turns(3, speech_ms=600, silence_ms=400)
    found = listed(marks_of(pcm, start=start), start + len(pcm))
    opens = [at - start for at in found if at >= 0]
    closes = [-at - start for at in found if at < 0]

    assert len(opens) == len(closes) == len(spans)
    for index, (begin, end) in enumerate(zip(opens, closes, strict=True)):
        spoken_from, spoken_to = index * RATE, index * RATE + 600 * RATE // 1000
        assert spoken_from - 768 <= begin <= spoken_from
        assert spoken_to + 200 * RATE // 1000 - 768 <= end <= spoken_to + 200 * RATE // 1000 + 2 * 768


def test_the_rest_of_a_word_is_a_turn_where_another_run_ended() -> None:
    """25 ms of it: too few for speech anywhere else, and no other turn would have their words."""
    rest = speech(3000, 300) + bytes(2 * RATE)

    assert listed(marks_of(rest, start=4 * RATE), 6 * RATE) == [4 * RATE, -(4 * RATE + 8 * 768)]
    assert listed(marks_of(rest), 2 * RATE) == []


def test_audio_that_settles_before_it_is_analysed() -> None:
    """The endpoint may make the turns, and be faster: all of its audio is freed while a piece is analysed."""

    async def scenario() -> TurnMarks:
        tape = Tape(RATE)

        class Settling(ExactDetector):
            def push(self, pcm: bytes) -> list[float]:
                tape.append(bytes(20 * RATE) if tape.captured < 60 * RATE else b"")
                tape.mark_sent(tape.captured)
                tape.settle(tape.captured)
                return super().push(pcm)

        analysis = TurnAnalysis(tape, cast("Any", Ended()), ChangeSignal(), SETTINGS, Settling)
        tape.append(turns(1)[0])
        await asyncio.wait_for(analysis.run(), 5)
        return analysis.marks

    assert run(scenario()).analysed == 61 * RATE


def test_all_audio_is_analysed() -> None:
    """The incomplete last frame, too."""
    pcm, _ = turns(1)

    assert marks_of(pcm + bytes(100)).analysed == len(pcm) // 2 + 50


@pytest.mark.parametrize(
    ("left_out", "expected"),
    [
        pytest.param((0, 10), [10, -20, 30, -40], id="silence"),
        pytest.param((0, 15), [15, -20, 30, -40], id="the beginning of a turn"),
        pytest.param((12, 18), [10, 18, -20, 30, -40], id="its middle"),
        pytest.param((15, 25), [10, 30, -40], id="its end"),
        pytest.param((15, 20), [10, 30, -40], id="up to its end"),
        pytest.param((15, 35), [10, 35, -40], id="from one turn into the next"),
        pytest.param((0, 50), [], id="all of them"),
        pytest.param((50, 60), [10, -20, 30, -40], id="what comes after them"),
    ],
)
def test_left_out_audio_has_no_marks(left_out: tuple[int, int], expected: list[int]) -> None:
    """A turn that continues after it opens at its end; closes are shown as negative numbers."""
    marks = TurnMarks()
    marks.add([TurnOpens(10), TurnCloses(20), TurnOpens(30), TurnCloses(40)])
    marks.leave_out(*left_out)

    assert listed(marks, 100) == expected


def test_a_turn_detected_late_opens_after_left_out_audio() -> None:
    """The left-out range can grow, whatever the marks at its end."""
    marks = TurnMarks()
    marks.add([TurnOpens(10)])
    marks.leave_out(5, 15)
    marks.leave_out(5, 25)
    marks.add([TurnCloses(30)])
    marks.leave_out(28, 50)
    marks.add([TurnOpens(45), TurnCloses(70)])

    assert listed(marks, 100) == [25, 50, -70]


def test_marks_of_settled_audio_are_dropped() -> None:
    """Marks are kept only while a replay may need them."""
    marks = TurnMarks()
    marks.add([TurnOpens(10), TurnCloses(20), TurnOpens(30), TurnCloses(40)])
    marks.forget(30)

    assert marks.opens_in(0, 100) == 30
    assert marks.closes_after(0) == 40
