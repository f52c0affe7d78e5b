"""Writes the run to its spool from a thread. A disk error is reported once; the run continues, and writes are retried.

The order of the writes: audio before the records that were made after its capture, and within the records of one moment
the finals before the settled mark that they justify. Finals are reported when their record is written.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins

from rt_cli.audio.format import BYTES_PER_SAMPLE
from rt_cli.events import Failed, Final, Translation, Warned
from rt_cli.protocol.session.effects import Drop, Report, Settle
from rt_cli.timeline.journal import SpoolSource

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rt_cli.audio.source import SourceInfo
    from rt_cli.events import Event, EventHandler
    from rt_cli.protocol.session.effects import Effect
    from rt_cli.settings import InputSettings
    from rt_cli.timeline.spool import Spool
    from rt_cli.timeline.tape import Hole

LIMIT_BYTES = 1 << 24
"""Limit of audio waiting for the disk: almost six minutes at 24 kHz."""
PATIENCE_S = 2.0
"""Longest time that a final waits for its record."""
_CLOSE_S = 10.0
"""Longest wait for the disk in :meth:`SpoolWriter.close`."""
RETRY_S = 0.5
"""Time between two writes to a disk that refuses."""
_ORDER = {"translation": 0, "settled": 2}
"""Records of one moment are written in this order; all others stand between."""
_WRITE_BYTES = 1 << 20
"""Most bytes of one write of audio."""


def spool_source(info: SourceInfo, rate_hz: int, settings: InputSettings) -> SpoolSource:
    """Return the description of the source in the spool. Raises OSError for a file that is gone."""
    path = Path(info.name).absolute() if info.kind == "file" else None
    size = path.stat().st_size if path else None
    return SpoolSource(
        rate_hz, info.name, info.kind, str(path) if path else None, size, channel=settings.channel, gain=settings.gain
    )


def final_of(record: dict[str, Any]) -> Final:
    """Return the final of a spool record, marked as resumed."""
    values: dict[str, Any] = {name: record.get(name) for name in Final.__struct_fields__}
    return Final(**values | {"resumed": True})


def translation_of(record: dict[str, Any]) -> Translation:
    """Return the translation of a spool record."""
    values: dict[str, Any] = {name: record.get(name) for name in Translation.__struct_fields__}
    return Translation(**values)


class SpoolWriter:
    """Writes audio and records of one run to its spool. Its methods return at once and never raise.

    Args:
        spool: An open spool.
        on_event: Receives the events of :meth:`report`, and a warning on the first disk error.
        captured: Timeline position up to which the spool is complete already.
        limit_bytes: Limit of audio waiting for the disk; beyond it audio is left out, which a resumed run reports.
    """

    def __init__(
        self, spool: Spool, on_event: EventHandler, *, captured: int = 0, limit_bytes: int = LIMIT_BYTES
    ) -> None:
        self._spool = spool
        self._complete_to = captured
        self._on_event = on_event
        self._limit = limit_bytes
        self._loop = asyncio.get_running_loop()
        self._changed = threading.Condition()
        self._sound: deque[tuple[int, bytes]] = deque()
        self._sound_bytes = 0
        self._records: deque[dict[str, Any]] = deque()
        self._queued = 0
        """Number of records so far."""
        self._tried = 0
        """Number of records that the disk has taken or refused at least once."""
        self._final_at = 0
        """Value of ``_queued`` after the last final."""
        self._released = 0
        self._failure: str | None = None
        self._warned = False
        self._closing = False
        self._delivered = False
        self._held: deque[tuple[int, Event]] = deque()
        """Events that wait until ``_tried`` reaches a number. Only the event loop uses them."""
        self._giving_up: asyncio.TimerHandle | None = None
        # A daemon thread, because a disk that hangs must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name="rt-spool", daemon=True)
        self._thread.start()

    @property
    def folder(self) -> Path:
        """Folder of the spool."""
        return self._spool.folder

    def sound(self, start: int, pcm: bytes) -> None:
        """Write captured audio."""
        if start < self._complete_to:
            return
        with self._changed:
            if self._sound_bytes + len(pcm) > self._limit:
                self._failure = self._failure or "the disk is too slow"
            else:
                self._sound.append((start, pcm))
                self._sound_bytes += len(pcm)
                self._changed.notify()
        self._warn()

    def hole(self, hole: Hole) -> None:
        """Write a gap in the capture, or dropped audio."""
        if hole.end > self._complete_to:
            self._note({"type": "hole", "start": hole.start, "end": hole.end, "reason": hole.reason})

    def ended(self) -> None:
        """Write that the source has come to its end."""
        self._note({"type": "ended"})

    def write_effects(self, effects: Sequence[Effect]) -> None:
        """Write the effects of the session at once: a final and its settled range are stored together or not at all."""
        records: list[dict[str, Any]] = []
        settled: int | None = None
        for effect in effects:
            settled = effect.to if isinstance(effect, Settle) else settled
            if (record := _record(effect)) is not None:
                # The final before its mark, and the mark within it: a torn write leaves both, or neither.
                mark = {"settled": settled} if record["type"] == "final" and settled is not None else {}
                records.append(record | mark)
        # A torn write must never leave the mark without the final, nor a final without its translation.
        records.sort(key=lambda record: _ORDER.get(record["type"], 1))
        if records:
            self._note(*records)
        if any(record["type"] == "final" for record in records):
            self._final_at = self._queued

    def printed(self, turn: int) -> None:
        """Write that a final was printed. Thread-safe."""
        self._note({"type": "printed", "turn": turn})

    def report(self, event: Event) -> None:
        """Report an event, after the records of all finals so far are written. Keeps the order of the events."""
        if not self._held and self._tried >= self._final_at:
            self._on_event(event)
            return
        self._held.append((self._final_at, event))
        if self._giving_up is None:
            self._giving_up = self._loop.call_later(PATIENCE_S, self._give_up)

    async def drain(self) -> None:
        """Wait until everything is written and reported, for two seconds at most."""

        def wait() -> None:
            with self._changed:
                self._changed.wait_for(lambda: self._tried >= self._queued and not self._sound, PATIENCE_S)

        await asyncio.to_thread(wait)
        self._report_written()
        if self._held:
            self._give_up()

    def close(self, *, delivered: bool) -> None:
        """Write the rest, for ten seconds at most, and close the spool; delete it if all of it is delivered. Blocks."""
        with self._changed:
            self._closing, self._delivered = True, delivered
            self._changed.notify_all()
        self._thread.join(_CLOSE_S)

    def _note(self, *records: dict[str, Any]) -> None:
        with self._changed:
            self._records.extend(records)
            self._queued += len(records)
            self._changed.notify()

    # -- on the event loop --------------------------------------------------------------------------------------------

    def _report_written(self) -> None:
        while self._held and self._held[0][0] <= self._tried:
            self._on_event(self._held.popleft()[1])
        if not self._held and self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None
        self._warn()

    def _give_up(self) -> None:
        """Report what waits for a disk that does not answer: words must not wait forever."""
        self._failure = self._failure or "the disk is too slow"
        self._giving_up = None
        while self._held:
            self._on_event(self._held.popleft()[1])
        self._warn()

    def _warn(self) -> None:
        if self._failure is not None and not self._warned:
            self._warned = True
            message = f"the spool takes no more ({self._failure}): from here on a crash would lose sound"
            self._on_event(Warned("spool_failed", message))

    # -- on the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._sound or self._records or self._closing)
                closing = self._closing
                # Audio that was captured before a record is written before it.
                sound, records, queued = list(self._sound), list(self._records), self._queued
            failed = not self._try(partial(self._write_sound, sound))
            failed = not self._try(partial(self._write_records, records)) or failed
            self._after_writing(queued)
            if closing:
                self._try(lambda: self._spool.close(delivered=self._delivered))
                return
            if failed:
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, RETRY_S)

    def _write_sound(self, pieces: list[tuple[int, bytes]]) -> None:
        """Write audio, neighbouring pieces in one write. What was settled meanwhile needs no write."""
        while pieces:
            start, size, count = pieces[0][0], 0, 0
            for at, pcm in pieces:
                if count and (at != start + size // BYTES_PER_SAMPLE or size + len(pcm) > _WRITE_BYTES):
                    break
                size, count = size + len(pcm), count + 1
            if start + size // BYTES_PER_SAMPLE > self._released:
                self._spool.append(start, b"".join(pcm for _, pcm in pieces[:count]))
            del pieces[:count]
            with self._changed:
                for _ in range(count):
                    self._sound.popleft()
                self._sound_bytes -= size

    def _write_records(self, records: list[dict[str, Any]]) -> None:
        if not records:
            return
        self._spool.note(*records)
        with self._changed:
            for _ in records:
                self._records.popleft()
        settled = max((record["to"] for record in records if record["type"] == "settled"), default=0)
        if settled > self._released:
            self._released = settled
            self._spool.release(settled)

    def _after_writing(self, queued: int) -> None:
        with self._changed:
            self._tried = queued
            self._changed.notify_all()
        with suppress(RuntimeError):  # the loop is closed: nothing waits for its events
            self._loop.call_soon_threadsafe(self._report_written)

    def _try(self, write: Callable[[], None]) -> bool:
        try:
            write()
        except OSError as exc:
            self._failure = self._failure or exc.strerror or str(exc)
            return False
        return True


def _record(effect: Effect) -> dict[str, Any] | None:
    match effect:
        case Settle(to):
            return {"type": "settled", "to": to}
        case Drop(start, end, reason):
            return {"type": "hole", "start": start, "end": end, "reason": reason}
        case Report(Final() | Translation() as words):
            record: dict[str, Any] = to_builtins(words)
            return record
        case Report(Failed(turn=turn)):
            return {"type": "turn", "turn": turn}
        case _:
            return None
