"""From a source onto the tape, at the pace that was asked for."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import TYPE_CHECKING

from rt_cli.audio.format import BYTES_PER_SAMPLE, SILENCE_DBFS, levels_dbfs
from rt_cli.errors import AudioError
from rt_cli.streaming.capture.gaps import Gaps
from rt_cli.streaming.timing.repeating_timer import RepeatingTimer

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.audio.source import Source
    from rt_cli.clock import Clock
    from rt_cli.errors import RtError
    from rt_cli.streaming.capture.audio_recorder import AudioRecorder
    from rt_cli.streaming.capture.push_to_talk import PushToTalk
    from rt_cli.streaming.capture.spool_writer import SpoolWriter
    from rt_cli.streaming.timing.change_signal import ChangeSignal
    from rt_cli.timeline.tape import Hole, Tape

LEAD_S = 4.0
"""While so much of a source that can wait is captured and unsent, no more is captured; so much at a time at most."""
_TIMES_EVERY_S = 0.1


class TapeFeeder:
    """Fills the tape.

    Args:
        source: Open, and read by nobody else.
        tape: Where the sound goes.
        clock: For the pace.
        changed: Notified for every piece captured, and waited on while there is no room.
        speed: Multiple of real time for a source that can wait; ``inf`` for as fast as there is room.
        piece_s: How much is captured at a time when a pace is kept.
        limit_s: Captured at most; None for no limit.
        on_hole: Told of every gap.
        spool_writer: Written to before the tape.
        recorder: Given all sound, also what the tape has no room for.
        control: Says who may be heard, and is told how far the sound has come.
        allowance: How many samples may still be sent, of what is to be paid for; None for any number.
        metered: Whether anybody will ask for levels.
        enforce: Asked after each piece why no more is to be captured; None for no reason.
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
    ) -> None:
        self.ended = False
        """Nothing more will come."""
        self.truncated = False
        """A source that can end was stopped before its end."""
        self.error: RtError | None = None
        """Why capture ended, if not by the end of the source."""
        self.spent = False
        """Ended because no more may be sent."""
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
        self._weigh = enforce
        self._began = tape.captured
        self.stopped_at: float | None = None
        """When :meth:`stop` was called first, seconds."""
        self.started_at = clock.now()
        """When the first sample that keeps a pace was due, seconds."""
        self._pace = RepeatingTimer(clock, self._next)
        self._block, self._at, self._end = b"", 0, 0
        """What has a pace to keep, and where its next piece begins and ends, bytes."""
        self._due = self.started_at
        """When that piece is, seconds."""
        self._positions: list[int] = []
        self._times: list[float] = []

    @property
    def live(self) -> bool:
        """Whether sound goes on whether or not it is read."""
        return self._source.info.live

    def stop(self) -> None:
        """End capture; what was captured stays. Idempotent."""
        if self.stopped_at is None:
            self.stopped_at = self._clock.now()
        self._source.stop()
        self._pace.fire_now()
        self._changed.notify()

    def finish(self) -> None:
        """Let what was captured be all there is: as if the source, a live one, came to its end here. Idempotent."""
        self._source.stop()
        self._changed.notify()

    def slept(self, seconds: float) -> None:
        """The machine was suspended: a live source has missed so much, and silence takes its place."""
        if self.live and not self.ended:
            self._report(self._tape.lose(round(seconds * self._tape.rate_hz), "suspended"))

    async def run(self) -> None:
        """Capture until the end, the limit or :meth:`stop`. Cancelling it ends capture where it is."""
        finished = False
        try:
            async for block in self._source.blocks():
                if block.lost:
                    self._report(self._tape.lose(block.lost, block.reason))
                await self._take(block.pcm)
                if self._done():
                    break
            else:
                finished = self.stopped_at is None
            if finished and self._spool_writer is not None:
                self._spool_writer.ended()
        except AudioError as exc:
            self.error = exc
        finally:
            full = self.spent or self._tape.captured >= self._limit
            self.truncated = not (finished or full or self.live or self.error)
            self._gaps.end()
            self.ended = True
            self._tell_control()
            self._changed.notify()

    def take_levels(self) -> tuple[float, float]:
        """RMS and peak, dBFS, of the loudest piece since the last call."""
        levels, self.levels = self.levels, (SILENCE_DBFS, SILENCE_DBFS)
        return levels

    def heard_at(self, position: int) -> float | None:
        """When the sample at a timeline position was captured, to 0.1 s; None if that is no longer known."""
        index = bisect_left(self._positions, position)
        return self._times[index] if index < len(self._times) else None

    def _done(self) -> bool:
        if self._allowance is not None and self._affordable() < 1:
            self.spent = True
        over = self.spent or self.error is not None or self._tape.captured >= self._limit
        return over or (self.stopped_at is not None and not self.live)

    def _affordable(self) -> float:
        """How many more samples may be captured, as what waits will be sent, too."""
        return math.inf if self._allowance is None else self._allowance() - self._tape.waiting

    async def _take(self, pcm: bytes) -> None:
        if self.live:
            if pcm and not self._done():
                self._append(pcm)
            return
        self._block, self._at = pcm, 0
        self._due = self._cut()
        while self._at < len(pcm):
            await self._changed.wait_until(self._has_room)
            if self._done():
                return
            await self._pace.run()

    def _next(self) -> float | None:
        """Append the piece that is due, if there is room; returns when the next one is."""
        if not self._has_room() or self._done():
            return None
        if self._due > self._clock.now():
            return self._due
        piece, self._at = self._block[self._at : self._end], self._end
        self._append(piece)
        if self._at == len(self._block):
            return None
        self._due = self._cut()
        return self._due

    def _cut(self) -> float:
        """Find the next piece, all on one grid, however long the source's blocks are; returns when it is due."""
        if self._speed == math.inf:
            self._end = min(len(self._block), self._at + self._lead * BYTES_PER_SAMPLE)
            return -math.inf
        since = self._tape.captured - self._began
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
        if self._weigh is not None and (error := self._weigh()) is not None:
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
        self._tell_control()
        self._changed.notify()

    def _within_limits(self, piece: bytes) -> bytes:
        """As much of it as may be captured: other sources may have spent it while this one waited for its pace."""
        room = max(0, min(self._limit - self._tape.captured, self._affordable()))
        return piece if len(piece) // BYTES_PER_SAMPLE <= room else piece[: int(room) * BYTES_PER_SAMPLE]

    def _tell_control(self) -> None:
        if self._control is not None:
            self._control.captured(self._tape.captured, ended=self.ended)

    def _note_time(self) -> None:
        now = self._clock.now()
        if self._times and now - self._times[-1] < _TIMES_EVERY_S:
            self._positions[-1] = self._tape.captured
            return
        self._positions.append(self._tape.captured)
        self._times.append(now)
        settled = bisect_left(self._positions, self._tape.settled)
        if settled > len(self._positions) // 2:
            del self._positions[:settled], self._times[:settled]

    def _report(self, holes: list[Hole]) -> None:
        if self._spool_writer is not None:
            for hole in holes:
                self._spool_writer.hole(hole)
        self._gaps.report(holes)
