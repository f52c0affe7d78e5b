"""Where ``rt`` makes the turns itself: looks at what was captured before it is sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from rt_cli.audio.format import BYTES_PER_SAMPLE, levels_dbfs
from rt_cli.audio.turns import TurnCloses, TurnMaker, TurnOpens
from rt_cli.audio.vad import SpeechDetector

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.audio.tape import Tape
    from rt_cli.settings import SessionSettings
    from rt_cli.stream.bell import Bell
    from rt_cli.stream.capture import Capture

_MOST_FRAMES = 16
"""Looked at in one go: 30 ms of a thread's time."""


class Detector(Protocol):
    """Says how likely speech is, as :class:`rt_cli.audio.vad.SpeechDetector` does."""

    frame_samples: int

    def push(self, pcm: bytes) -> list[float]:
        """Probabilities of the frames that are complete by now."""
        ...


class TurnMarks:
    """Where turns open and close, as far as the sound was looked at; kept until it is settled."""

    def __init__(self) -> None:
        self.analysed = 0
        """Timeline position up to which the marks are known."""
        self._marks: list[TurnOpens | TurnCloses] = []

    def add(self, marks: list[TurnOpens | TurnCloses]) -> None:
        """Add marks, in order."""
        self._marks += marks

    def closes_after(self, position: int) -> int | None:
        """The first place at or behind ``position`` where a turn closes."""
        return next((mark.at for mark in self._marks if isinstance(mark, TurnCloses) and mark.at >= position), None)

    def opens_in(self, start: int, end: int) -> int | None:
        """Where a turn opens in ``[start, end)``, if one does."""
        return next((m.at for m in self._marks if isinstance(m, TurnOpens) and start <= m.at < end), None)

    def forget(self, settled: int) -> None:
        """Drop the marks that no replay can meet again."""
        while self._marks and self._marks[0].at < settled:
            self._marks.pop(0)


class TurnAnalysis:
    """Runs a detector over the tape, ahead of the sending.

    Args:
        tape: What to look at.
        capture: Says when no more will come.
        bell: Rung when more is known.
        settings: What a turn is.
        make_detector: Given the rate; called in a thread, as a model takes its time to load.
    """

    def __init__(
        self,
        tape: Tape,
        capture: Capture,
        bell: Bell,
        settings: SessionSettings,
        make_detector: Callable[[int], Detector] = SpeechDetector,
    ) -> None:
        self.marks = TurnMarks()
        self._tape = tape
        self._capture = capture
        self._bell = bell
        self._settings = settings
        self._make_detector = make_detector
        # A run that goes on where another ended begins in the middle of the timeline.
        self._read = self.marks.analysed = tape.captured

    async def run(self) -> None:
        """Look at everything until the end of the input. Cancelling it leaves the marks as they are."""
        detector = await asyncio.to_thread(self._make_detector, self._tape.rate_hz)
        frame = detector.frame_samples
        maker = TurnMaker(
            frame,
            self._tape.rate_hz,
            threshold=self._settings.vad_threshold,
            silence_ms=self._settings.silence_ms,
            prefix_ms=self._settings.prefix_ms,
            max_turn_s=self._settings.max_turn_s,
            start=self._read,
        )
        pending = b""
        while True:
            await self._bell.until(lambda: self._tape.captured > self._read or self._capture.ended)
            end = min(self._tape.captured, self._read + _MOST_FRAMES * frame)
            if end == self._read:
                break
            pcm = self._tape.read(self._read, end)
            self._read = end
            pending += pcm
            for probability in await asyncio.to_thread(detector.push, pcm):
                level, _ = levels_dbfs(pending[: frame * BYTES_PER_SAMPLE])
                pending = pending[frame * BYTES_PER_SAMPLE :]
                self.marks.add(maker.push(probability, level))
                self.marks.analysed += frame
            self._bell.ring()
        self.marks.analysed = self._tape.captured
        self._bell.ring()
