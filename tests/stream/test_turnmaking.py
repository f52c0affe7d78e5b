"""Turns of our own, found ahead of the sending."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from rt_cli.audio.tape import Tape
from rt_cli.audio.turns import TurnCloses, TurnOpens
from rt_cli.settings import SessionSettings
from rt_cli.stream.bell import Bell
from rt_cli.stream.turnmaking import TurnAnalysis, TurnMarks
from tests.exact import ExactDetector, turns
from tests.fakes import run

if TYPE_CHECKING:
    from rt_cli.stream.capture import Capture

RATE = 24_000
SETTINGS = SessionSettings(silence_ms=200, prefix_ms=0)


class Ended:
    """A capture that is over."""

    ended = True


def marks_of(pcm: bytes, *, start: int = 0) -> TurnMarks:
    """Look at sound that begins somewhere on the timeline."""

    async def scenario() -> TurnMarks:
        tape = Tape(RATE)
        tape.restore(start, 0)
        analysis = TurnAnalysis(tape, cast("Capture", Ended()), Bell(), SETTINGS, ExactDetector)
        tape.append(pcm)
        await asyncio.wait_for(analysis.run(), 5)
        return analysis.marks

    return run(scenario())


@pytest.mark.parametrize("start", [0, 7 * RATE + 123], ids=["from the beginning", "where another run ended"])
def test_every_turn_opens_and_closes_in_its_silence(start: int) -> None:
    """Each opens at most a frame before its speech and closes after 200 ms of silence, in frames."""
    pcm, spans = turns(3, speech_ms=600, silence_ms=400)
    marks = marks_of(pcm, start=start)._marks
    opens = [mark.at - start for mark in marks if isinstance(mark, TurnOpens)]
    closes = [mark.at - start for mark in marks if isinstance(mark, TurnCloses)]

    assert len(opens) == len(closes) == len(spans)
    for index, (begin, end) in enumerate(zip(opens, closes, strict=True)):
        spoken_from, spoken_to = index * RATE, index * RATE + 600 * RATE // 1000
        assert spoken_from - 768 <= begin <= spoken_from
        assert spoken_to + 200 * RATE // 1000 - 768 <= end <= spoken_to + 200 * RATE // 1000 + 2 * 768


def test_everything_is_looked_at() -> None:
    """The rest of the last frame, too."""
    pcm, _ = turns(1)

    assert marks_of(pcm + bytes(100)).analysed == len(pcm) // 2 + 50


def test_what_is_settled_is_forgotten() -> None:
    """Marks are kept only as long as a replay can meet them."""
    marks = TurnMarks()
    marks.add([TurnOpens(10), TurnCloses(20), TurnOpens(30), TurnCloses(40)])
    marks.forget(30)

    assert marks.opens_in(0, 100) == 30
    assert marks.closes_after(0) == 40
