"""Where a run is stored while it lasts: its spool (``--spool``, ``--resume``) and its audio (``--save-audio``)."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rt_cli.audio.format import to_ms
from rt_cli.disk.outfile import is_same_file
from rt_cli.errors import AudioError, UsageError
from rt_cli.events import Dropped, Warned
from rt_cli.streaming.capture.audio_recorder import AudioRecorder
from rt_cli.streaming.capture.spool_writer import SpoolWriter, final_of, spool_source, translation_of
from rt_cli.timeline.resumed_source import loss_reason
from rt_cli.timeline.spool import Spool

if TYPE_CHECKING:
    from rt_cli.audio.source import Source
    from rt_cli.events import Event, EventHandler
    from rt_cli.protocol.session.session import Session
    from rt_cli.streaming.job import Job
    from rt_cli.timeline.journal import SpoolContents
    from rt_cli.timeline.tape import Tape


class Storage:
    """The spool and the saved audio of a run; each may be absent.

    Args:
        job: The job of the run.
        rate_hz: Wire rate.
        on_event: Receives the events of :meth:`report`.
    """

    def __init__(self, job: Job, rate_hz: int, on_event: EventHandler) -> None:
        self.spool_writer: SpoolWriter | None = None
        """Writes the spool; None without one."""
        self.recorder: AudioRecorder | None = None
        """Writes the saved audio; None without."""
        self._job = job
        self._rate = rate_hz
        self._on_event = on_event

    def report(self, event: Event) -> None:
        """Report an event, with a spool after the records of the finals before it."""
        if self.spool_writer is None:
            self._on_event(event)
        else:
            self.spool_writer.report(event)

    async def open(self, source: Source, tape: Tape, session: Session) -> None:
        """Open what the job asks for; the spool of an earlier process restores the marks.

        Raises:
            RtError: A file or folder cannot be made or read.
        """
        if self._job.resume is not None:
            spool, contents = self._job.resume
            self._write_spool(spool, captured=contents.captured)
            tape.restore(contents.settled, contents.dropped, contents.suspended)
            session.restore(contents.settled, contents.captured, contents.next_turn)
            self._report_resumed(contents)
        elif self._job.spool is not None:
            try:
                origin = spool_source(source.info, self._rate, self._job.settings.input)
            except OSError as exc:
                raise AudioError(f"cannot read {source.info.name}: {exc.strerror}", "is it still there?") from exc
            self._write_spool(await asyncio.to_thread(Spool.create, self._job.spool, origin))
        if self._job.save_audio is not None:
            await self._record(self._job.save_audio, source)

    async def close_recorder(self, captured: int) -> None:
        """Close the saved audio, padded to ``captured`` samples. Raises its error."""
        if self.recorder is not None:
            await asyncio.to_thread(self.recorder.close, captured)
            if self.recorder.error is not None:
                raise self.recorder.error

    async def drain(self) -> None:
        """Wait until the spool is written and its events are reported, for two seconds at most."""
        if self.spool_writer is not None:
            await self.spool_writer.drain()

    def printed(self, turn: int) -> None:
        """Note that a final was printed. Thread-safe."""
        if self.spool_writer is not None:
            self.spool_writer.printed(turn)

    def report_undelivered(self) -> None:
        """Report where the audio is that was not delivered."""
        if self.spool_writer is not None:
            folder = self.spool_writer.folder
            self._warn("spooled", f"what was not delivered is in {folder}: rt send --resume {folder}")

    def close(self, *, delivered: bool) -> None:
        """Close the spool; delete it if everything is delivered and written. Blocks, for ten seconds at most."""
        if self.spool_writer is not None:
            self.spool_writer.close(delivered=delivered)

    def _write_spool(self, spool: Spool, *, captured: int = 0) -> None:
        self.spool_writer = SpoolWriter(spool, self._on_event, captured=captured)

    def _report_resumed(self, contents: SpoolContents) -> None:
        """Report what the earlier process may not have printed before its end."""
        for start, end, reason in contents.unreported:
            self.report(Dropped(to_ms(start, self._rate), to_ms(end, self._rate), loss_reason(reason)))
        for final in contents.finals:
            self.report(final_of(final))
            if final["turn"] in contents.translations:
                self.report(translation_of(contents.translations[final["turn"]]))
        if contents.finals:
            turns = ", ".join(str(final["turn"]) for final in contents.finals)
            self._warn("repeated", f"the interrupted run may have printed this before: the words of turn {turns}")
        if contents.missing:
            message = f"{contents.missing} records of the spool cannot be read: some words may be heard twice"
            self._warn("spool_damaged", message)

    def _warn(self, code: str, message: str) -> None:
        self.report(Warned(code, message))

    async def _record(self, path: Path, source: Source) -> None:
        if source.info.kind == "file" and is_same_file(path, Path(source.info.name)):
            raise UsageError(f"{path} is the source itself", "save the sound elsewhere")
        force = self._job.settings.output.force
        make = partial(AudioRecorder, path, self._rate, self.report, replace=force)
        self.recorder = await asyncio.to_thread(make)
