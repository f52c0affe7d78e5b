"""Fills the tape from a source, at the configured speed."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import TYPE_CHECKING

from rt_cli.audio.format import BYTES_PER_SAMPLE, SILENCE_DBFS, levels_dbfs
from rt_cli.errors import AudioError
from rt_cli.streaming.capture.gaps import Gaps
from rt_cli.streaming.capture.reread import Rereader
from rt_cli.streaming.timing.repeating_timer import RepeatingTimer
from rt_cli.streaming.timing.ticks import on_grid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rt_cli.audio.source import Source
    from rt_cli.clock import Clock
    from rt_cli.errors import RtError
    from rt_cli.streaming.capture.audio_recorder import AudioRecorder
    from rt_cli.streaming.capture.push_to_talk import PushToTalk
    from rt_cli.streaming.capture.reread import Reopen
    from rt_cli.streaming.capture.spool_writer import SpoolWriter
    from rt_cli.streaming.timing.change_signal import ChangeSignal
    from rt_cli.timeline.tape import Hole, Tape

LEAD_S = 4.0
"""Limit of captured and unsent audio of a source that can wait. Also the largest piece."""
_TIMESTAMP_EVERY_S = 0.1


class TapeFeeder:
    """Appends the audio of a source to the tape.

    Args:
        source: An open source without another reader.
        tape: Destination of the audio.
        clock: Time of the pace.
        changed: Notified for every captured piece; the feeder also waits on it while the tape has no room.
        speed: Multiple of real time for a source that can wait; ``inf``: no pace, only the limit of unsent audio.
        piece_s: Length of a piece at a finite speed.
        limit_s: Limit of captured audio; None for no limit.
        on_hole: Receives every gap.
        spool_writer: Receives all audio that the tape takes.
        recorder: Receives all audio, also if the tape is full.
        control: Mutes the audio; receives the position of the captured audio.
        allowance: Returns how many samples the cost limit still allows; None for no limit.
        metered: Whether to measure levels.
        enforce: Called after each piece; returns the error that ends capture, or None.
        reopen: Opens the source once more; None if it can be read only once.
    """

    def __init__(
        self,
        source: Source,
        tape: Tape,
        clock: Clock,
        changed: ChangeSignal,
        *,
        speed: float,
        piece_s: float,
        limit_s: float | None,
        on_hole: Callable[[Hole], None],
        spool_writer: SpoolWriter | None = None,
        recorder: AudioRecorder | None = None,
        control: PushToTalk | None = None,
        allowance: Callable[[], float] | None = None,
        metered: bool = True,
        enforce: Callable[[], RtError | None] | None = None,
        reopen: Reopen | None = None,
    ) -> None:
        self.ended = False
        """Capture has ended."""
        self.truncated = False
        """A finite source was stopped before its end."""
        self.error: RtError | None = None
        """The error that ended capture."""
        self.cost_limit_hit = False
        """The cost limit ended capture."""
        self.levels = (SILENCE_DBFS, SILENCE_DBFS)
        """RMS and peak of the loudest piece since :meth:`take_levels`."""
        self._source = source
        self._tape = tape
        self._clock = clock
        self._changed = changed
        self._speed = math.inf if source.info.live else speed
        self._piece = max(1, round(piece_s * tape.rate_hz))
        self._lead = round(LEAD_S * tape.rate_hz)
        self._limited = limit_s is not None or allowance is not None
        self._limit = math.inf if limit_s is None else round(limit_s * tape.rate_hz)
        self._gaps = Gaps(on_hole)
        self._spool_writer = spool_writer
        self._recorder = recorder
        self._control = control
        self._allowance = allowance
        self._metered = metered
        self._enforce = enforce
        self._rereader = None if reopen is None else Rereader(tape, changed, reopen, self._report_at_once)
        self._start = tape.captured
        self.stopped_at: float | None = None
        """Time of the first :meth:`stop`, seconds."""
        self.started_at = on_grid(clock.now())
        """Time at which the first sample was due, seconds: a moment that other sessions share."""
        self._pace = RepeatingTimer(clock, self._append_due)
        self._block, self._at, self._end = b"", 0, 0
        """The present block, and the start and end of its next piece, bytes."""
        self._due = self.started_at
        """Time at which that piece is due, seconds."""
        self._positions: list[int] = []
        self._times: list[float] = []

    @property
    def live(self) -> bool:
        """Whether the source cannot wait for its reader."""
        return self._source.info.live

    def stop(self) -> None:
        """End capture and keep the captured audio. Idempotent."""
        if self.stopped_at is None:
            self.stopped_at = self._clock.now()
        self._source.stop()
        self._pace.fire_now()
        self._changed.notify()

    def finish(self) -> None:
        """End capture as if a live source had come to its end here. Idempotent."""
        self._source.stop()
        self._changed.notify()

    def add_suspend_gap(self, seconds: float) -> None:
        """Add a gap of ``seconds`` to the timeline of a live source after a system suspend."""
        if self.live and not self.ended:
            self._report(self._tape.lose(round(seconds * self._tape.rate_hz), "suspended"))

    def rewind(self) -> None:
        """Rewind the tape for a new connection. What it has no more is read again from the file, or else is a hole."""
        self._report_at_once(self._tape.rewind(again=self._rereader is not None))
        if self._rereader is not None:
            self._rereader.rewound()

    async def reread(self) -> None:
        """Read again what a rewound tape has no more, until cancelled; returns at once if the source cannot do so."""
        if self._rereader is not None:
            await self._rereader.run()

    async def run(self) -> None:
        """Capture until the end, a limit or :meth:`stop`. Cancellation ends capture at the present position."""
        finished = False
        try:
            async for block in self._source.blocks():
                if block.lost:
                    # A gap in which the machine was suspended may lie beyond the limit.
                    lost = max(0, min(block.lost, self._limit - self._tape.captured))
                    self._report(self._tape.lose(int(lost), block.reason))
                await self._capture(block.pcm)
                if self._must_end():
                    break
            else:
                finished = self.stopped_at is None
            if finished and self._spool_writer is not None:
                self._spool_writer.ended()
        except AudioError as exc:
            self.error = exc
        finally:
            full = self.cost_limit_hit or self._tape.captured >= self._limit
            self.truncated = not (finished or full or self.live or self.error)
            self._gaps.end()
            self.ended = True
            self._update_control()
            self._changed.notify()

    def take_levels(self) -> tuple[float, float]:
        """RMS and peak, dBFS, of the loudest piece since the last call."""
        levels, self.levels = self.levels, (SILENCE_DBFS, SILENCE_DBFS)
        return levels

    def captured_at(self, position: int) -> float | None:
        """Return when the sample at a timeline position was captured, seconds, to 0.1 s; None if no longer known."""
        index = bisect_left(self._positions, position)
        return self._times[index] if index < len(self._times) else None

    def _must_end(self) -> bool:
        if self._allowance is not None and self._affordable() < 1:
            self.cost_limit_hit = True
        over = self.cost_limit_hit or self.error is not None or self._tape.captured >= self._limit
        return over or (self.stopped_at is not None and not self.live)

    def _affordable(self) -> float:
        """Samples that may still be captured: waiting audio also uses up the cost limit."""
        return math.inf if self._allowance is None else self._allowance() - self._tape.waiting

    async def _capture(self, pcm: bytes) -> None:
        if self.live:
            if pcm and not self._must_end():
                self._append(pcm)
            return
        self._block, self._at = pcm, 0
        self._due = self._find_piece()
        while self._at < len(pcm):
            await self._changed.wait_until(self._has_room)
            if self._must_end():
                return
            await self._pace.run()

    def _append_due(self) -> float | None:
        """Append the due piece if there is room. Return when the next one is due; None to pause or at the end."""
        if not self._has_room() or self._must_end():
            return None
        if self._due > self._clock.now():
            return self._due
        piece, self._at = self._block[self._at : self._end], self._end
        self._append(piece)
        if self._at == len(self._block):
            return None
        self._due = self._find_piece()
        return self._due

    def _find_piece(self) -> float:
        """Find the next piece and return when it is due. Pieces lie on one grid, whatever the length of the blocks."""
        if self._speed == math.inf:
            self._end = min(len(self._block), self._at + self._lead * BYTES_PER_SAMPLE)
            return -math.inf
        since = self._tape.captured - self._start
        size = min((len(self._block) - self._at) // BYTES_PER_SAMPLE, self._piece - since % self._piece)
        self._end = self._at + size * BYTES_PER_SAMPLE
        return self.started_at + (since + size) / self._tape.rate_hz / self._speed

    def _has_room(self) -> bool:
        return self.stopped_at is not None or self._tape.waiting < self._lead

    def _append(self, piece: bytes) -> None:
        if self._limited:
            piece = self._within_limits(piece)
        if self._control is not None and self._control.muted:
            piece = bytes(len(piece))
        start = self._tape.captured
        if self._recorder is not None:
            self._recorder.sound(start, piece)
        holes = self._tape.append(piece)
        if self._enforce is not None and (error := self._enforce()) is not None:
            self.error = error
            self.stop()
        if holes:
            self._report(holes)
        else:
            self._gaps.end()
            if self._spool_writer is not None:
                self._spool_writer.sound(start, piece)
        if self._metered:
            self.levels = max(self.levels, levels_dbfs(piece))
        self._note_time()
        self._update_control()
        self._changed.notify()

    def _within_limits(self, piece: bytes) -> bytes:
        """Return the part of ``piece`` within the limits. Other sources may have used the cost limit meanwhile."""
        room = max(0, min(self._limit - self._tape.captured, self._affordable()))
        return piece if len(piece) // BYTES_PER_SAMPLE <= room else piece[: int(room) * BYTES_PER_SAMPLE]

    def _update_control(self) -> None:
        if self._control is not None:
            self._control.captured(self._tape.captured, ended=self.ended)

    def _note_time(self) -> None:
        now = self._clock.now()
        if self._times and now - self._times[-1] < _TIMESTAMP_EVERY_S:
            self._positions[-1] = self._tape.captured
            return
        self._positions.append(self._tape.captured)
        self._times.append(now)
        settled = bisect_left(self._positions, self._tape.settled)
        if settled > len(self._positions) // 2:
            del self._positions[:settled], self._times[:settled]

    def _report_at_once(self, holes: Sequence[Hole]) -> None:
        self._report(holes)
        self._gaps.end()

    def _report(self, holes: Sequence[Hole]) -> None:
        if self._spool_writer is not None:
            for hole in holes:
                self._spool_writer.hole(hole)
        self._gaps.add(holes)
