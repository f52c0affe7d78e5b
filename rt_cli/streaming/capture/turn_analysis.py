"""Client-side speech detection: analyses captured audio before it is sent."""

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

_MAX_FRAMES = 16
"""Frames per call of the detector: 30 ms of a thread's time."""


class Detector(Protocol):
    """Computes the probability of speech; see :class:`rt_cli.audio.speech.vad.SpeechDetector`."""

    frame_samples: int

    def push(self, pcm: bytes) -> list[float]:
        """Add audio and return the probabilities of all frames that are complete now."""
        ...


class FrameConsumer(Protocol):
    """Consumes the results of the detector."""

    def push(self, probability: float, level_dbfs: float) -> None:
        """Take the next frame: its probability of speech and its level in dBFS."""
        ...


class SilenceTimeout:
    """Detects a long time without speech.

    Args:
        frame_s: Length of a frame, seconds.
        threshold: Probability from which a frame is speech.
        patience_s: Length of that time, seconds.
        on_quiet: Called once per silence.
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
    """Runs a detector over the tape, ahead of the sending, for all its consumers.

    Args:
        tape: The audio to analyse.
        capture: Its ``ended`` marks the end of the input.
        changed: Notified on new results; the analysis also waits on it for new audio.
        settings: Parameters of turns.
        make_detector: Argument: rate in Hz. Called in a thread because a model loads slowly.
        makes_turns: Whether to mark turns; if not, :attr:`marks` only holds the analysed position.
        send_ranges: Ranges to open around speech; None if all audio is sent.
        hang_ms: Silence after speech that is sent, in addition to the hang of the gate; None: ``silence_ms``.
        quiet_s: Time without speech before ``on_quiet``, seconds; None for never.
        on_quiet: Called once per silence of that length.
        start: Timeline position to begin at; None for the end of what is captured.
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
        start: int | None = None,
    ) -> None:
        # A resumed run begins in the middle of the timeline.
        self._read = tape.captured if start is None else start
        self.marks = TurnMarks(self._read)
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
        """Analyse all audio until the end of the input. Cancellation leaves the marks unchanged."""
        detector = await asyncio.to_thread(self._make_detector, self._tape.rate_hz)
        frame = detector.frame_samples
        consumers = self._consumers(frame)
        pending = b""
        while True:
            await self._changed.wait_until(lambda: self._tape.captured > self._read or self._capture.ended)
            end = min(self._tape.captured, self._read + _MAX_FRAMES * frame)
            if end == self._read:
                break
            pcm = self._tape.read_settled_as_silence(self._read, end)
            self._read = end
            pending += pcm
            for probability in await asyncio.to_thread(detector.push, pcm):
                level, _ = levels_dbfs(pending[: frame * BYTES_PER_SAMPLE])
                pending = pending[frame * BYTES_PER_SAMPLE :]
                for consumer in consumers:
                    consumer.push(probability, level)
                self.marks.known(self.marks.analysed + frame)
            self._changed.notify()
        self.marks.known(self._tape.captured)
        if self._send_ranges is not None:
            self._send_ranges.decided(self._tape.captured)
        self._changed.notify()

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
        detector = TurnDetector(
            frame,
            self._tape.rate_hz,
            threshold=self._settings.vad_threshold,
            silence_ms=self._settings.silence_ms,
            prefix_ms=self._settings.prefix_ms,
            max_turn_s=self._settings.max_turn_s,
            start=self._read,
            resumed=self._read > 0,
        )
        return _Marker(detector, self.marks)


class _Marker:
    """Adds the turns of a detector to the marks, and how soon the next one may close."""

    def __init__(self, detector: TurnDetector, marks: TurnMarks) -> None:
        self._detector = detector
        self._marks = marks
        marks.earliest_close = detector.earliest_close

    def push(self, probability: float, level_dbfs: float) -> None:
        self._marks.add(self._detector.push(probability, level_dbfs))
        self._marks.earliest_close = self._detector.earliest_close
