"""Where ``rt`` makes the turns itself: looks at what was captured before it is sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from rt_cli.audio.format import BYTES_PER_SAMPLE, levels_dbfs
from rt_cli.audio.speech.endpointing import TurnDetector
from rt_cli.audio.speech.gate import Gate
from rt_cli.audio.speech.vad import SpeechDetector
from rt_cli.streaming.capture.turn_marks import TurnMarks

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.audio.speech.gate import SendRanges
    from rt_cli.settings import SessionSettings
    from rt_cli.streaming.capture.capture import TapeFeeder
    from rt_cli.streaming.timing.change_signal import ChangeSignal
    from rt_cli.timeline.tape import Tape

_MOST_FRAMES = 16
"""Looked at in one go: 30 ms of a thread's time."""


class Detector(Protocol):
    """Says how likely speech is, as :class:`rt_cli.audio.speech.vad.SpeechDetector` does."""

    frame_samples: int

    def push(self, pcm: bytes) -> list[float]:
        """Probabilities of the frames that are complete by now."""
        ...


class FrameConsumer(Protocol):
    """Goes by what the detector says."""

    def push(self, probability: float, level_dbfs: float) -> None:
        """Take the next frame: how likely it is speech, and how loud it is."""
        ...


class SilenceTimeout:
    """Notices that nobody has spoken for long.

    Args:
        frame_s: Length of a frame, seconds.
        threshold: Probability from which a frame is speech.
        patience_s: For how long.
        on_quiet: Told once.
    """

    def __init__(self, frame_s: float, threshold: float, patience_s: float, on_quiet: Callable[[], None]) -> None:
        self._frame_s = frame_s
        self._threshold = threshold
        self._patience_s = patience_s
        self._on_quiet = on_quiet
        self._frames = 0

    def push(self, probability: float, _level_dbfs: float) -> None:
        """Take the next frame."""
        due = self._due
        self._frames = 0 if probability >= self._threshold else self._frames + 1
        if self._due and not due:
            self._on_quiet()

    @property
    def _due(self) -> bool:
        return self._frames * self._frame_s >= self._patience_s


class TurnAnalysis:
    """Runs a detector over the tape, ahead of the sending, for all who go by it.

    Args:
        tape: What to look at.
        capture: Says when no more will come.
        changed: Notified when more is known.
        settings: What a turn is.
        make_detector: Given the rate; called in a thread, as a model takes its time to load.
        makes_turns: Mark turns; else :attr:`marks` only says how far it has looked.
        send_ranges: To be opened around speech; None where everything is sent.
        hang_ms: Silence after speech that is sent, beyond what the gate adds; None is what ends a turn.
        quiet_s: So much without speech is told of.
        on_quiet: Told of it, once per silence.
    """

    def __init__(
        self,
        tape: Tape,
        capture: TapeFeeder,
        changed: ChangeSignal,
        settings: SessionSettings,
        make_detector: Callable[[int], Detector] = SpeechDetector,
        *,
        makes_turns: bool = True,
        send_ranges: SendRanges | None = None,
        hang_ms: int | None = None,
        quiet_s: float | None = None,
        on_quiet: Callable[[], None] = lambda: None,
    ) -> None:
        # A run that goes on where another ended begins in the middle of the timeline.
        self._read = tape.captured
        self.marks = TurnMarks(tape.captured)
        self._tape = tape
        self._capture = capture
        self._changed = changed
        self._settings = settings
        self._make_detector = make_detector
        self._makes_turns = makes_turns
        self._send_ranges = send_ranges
        self._hang_ms = settings.silence_ms if hang_ms is None else hang_ms
        self._quiet_s = quiet_s
        self._on_quiet = on_quiet

    async def run(self) -> None:
        """Look at everything until the end of the input. Cancelling it leaves the marks as they are."""
        detector = await asyncio.to_thread(self._make_detector, self._tape.rate_hz)
        frame = detector.frame_samples
        consumers = self._consumers(frame)
        pending = b""
        while True:
            await self._changed.wait_until(lambda: self._tape.captured > self._read or self._capture.ended)
            end = min(self._tape.captured, self._read + _MOST_FRAMES * frame)
            if end == self._read:
                break
            pcm = self._sound(self._read, end)
            self._read = end
            pending += pcm
            for probability in await asyncio.to_thread(detector.push, pcm):
                level, _ = levels_dbfs(pending[: frame * BYTES_PER_SAMPLE])
                pending = pending[frame * BYTES_PER_SAMPLE :]
                for consumer in consumers:
                    consumer.push(probability, level)
                self.marks.analysed += frame
            self._changed.notify()
        self.marks.analysed = self._tape.captured
        if self._send_ranges is not None:
            self._send_ranges.decided(self._tape.captured)
        self._changed.notify()

    def _sound(self, start: int, end: int) -> bytes:
        """What is on the tape; silence where it was settled and let go before we came, as nobody waits for us then."""
        gone = min(max(0, self._tape.settled - start), end - start)
        return bytes(gone * BYTES_PER_SAMPLE) + self._tape.read(start + gone, end)

    def _consumers(self, frame: int) -> list[FrameConsumer]:
        consumers: list[FrameConsumer] = []
        if self._makes_turns:
            consumers.append(self._turn_detector(frame))
        if self._send_ranges is not None:
            consumers.append(self._gate(frame, self._send_ranges))
        if self._quiet_s is not None:
            frame_s = frame / self._tape.rate_hz
            consumers.append(SilenceTimeout(frame_s, self._settings.vad_threshold, self._quiet_s, self._on_quiet))
        return consumers

    def _gate(self, frame: int, send_ranges: SendRanges) -> Gate:
        return Gate(
            send_ranges,
            frame,
            self._tape.rate_hz,
            threshold=self._settings.vad_threshold,
            silence_ms=self._hang_ms,
            prefix_ms=self._settings.prefix_ms,
        )

    def _turn_detector(self, frame: int) -> _Marker:
        maker = TurnDetector(
            frame,
            self._tape.rate_hz,
            threshold=self._settings.vad_threshold,
            silence_ms=self._settings.silence_ms,
            prefix_ms=self._settings.prefix_ms,
            max_turn_s=self._settings.max_turn_s,
            start=self._read,
        )
        return _Marker(maker, self.marks)


class _Marker:
    """Marks the turns that are made."""

    def __init__(self, maker: TurnDetector, marks: TurnMarks) -> None:
        self._maker = maker
        self._marks = marks

    def push(self, probability: float, level_dbfs: float) -> None:
        self._marks.add(self._maker.push(probability, level_dbfs))
