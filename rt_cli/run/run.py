"""One call of ``rt send`` or ``rt stream``: its output, all its sources in order, its exit code."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rt_cli.audio.channels import SIDES
from rt_cli.errors import EXIT_INCOMPLETE, EXIT_OK, RtError, UsageError, unexpected, worst_exit
from rt_cli.events import Noted, error_event
from rt_cli.output.output import make_output
from rt_cli.output.results.saved_results import result_path
from rt_cli.protocol.sanitize import printable
from rt_cli.run.claims.decision import Standing
from rt_cli.run.interrupts import TerminalUser, call_soon
from rt_cli.run.output_audio import STDOUT, OutputAudio, check_output_audio
from rt_cli.run.plan import Plan, make_plan
from rt_cli.run.pool import Pool
from rt_cli.run.record_option import check_outputs, open_wire_recorder
from rt_cli.run.skip_done import determinants, results_are_missing
from rt_cli.run.streamers import Streamers
from rt_cli.run.totals import total, unopened_summary

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from rt_cli.events import EventHandler, Summary
    from rt_cli.output.results.source_output import SourceOutput
    from rt_cli.run.interrupts import Interrupts
    from rt_cli.run.skip_done import DoneMarks
    from rt_cli.run.sources import NamedSource
    from rt_cli.settings import Settings
    from rt_cli.streaming.capture.push_to_talk import Command
    from rt_cli.streaming.transport.wire_recorder import WireRecorder

_LAST_LINES_S = 0.3
_MARK_WITHIN_S = 5.0
"""A disk that is slower than this no longer holds up the next source."""
_LOOK_EVERY_S = 1.0
"""How often a run that only waits for other processes looks at their claims."""
_MOST_WAITING_BYTES = 64 * 1024 * 1024
"""No new source starts while more results than this wait for an earlier source: a thousand hours of speech."""


class Controls(TerminalUser, Protocol):
    """Controls of a run besides the signals: keys, a FIFO."""

    def close(self) -> None:
        """Stop reading keys and the FIFO. Idempotent."""
        ...


OpenControls = Callable[["asyncio.AbstractEventLoop", "EventHandler", Callable[["Command"], None]], Controls | None]
"""Opens the controls of a run. Its arguments: the loop, the event handler, the function that takes commands.

Returns None for no controls. Raises UsageError if one of them cannot be used.
"""


class CommandRun:
    """One call of a command.

    Args:
        settings: Common to all sources.
        sources: In the order of their results.
        jobs: The most sessions in parallel.
        done_marks: Marks of finished sources: these are skipped, and newly finished ones are added. Sources that
            another process works on are waited for. None disables it.
        open_controls: Opens the controls besides the signals that end the run; None for no controls.
        output_audio: A WAV file for the sound of a translation; ``-`` is stdout.

    Raises:
        UsageError: The settings contradict each other, or a file cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        sources: Sequence[NamedSource],
        *,
        jobs: int = 1,
        done_marks: DoneMarks | None = None,
        open_controls: OpenControls | None = None,
        output_audio: str | None = None,
    ) -> None:
        check_output_audio(settings, output_audio, len(sources))
        if settings.session.translate is not None:
            settings = replace(settings, output=replace(settings.output, translates=True))
        self._split = settings.input.channel == "split"
        if self._split and any(source.spool or source.resume for source in sources):
            raise UsageError("a spool is for one session, and --channel split makes two", "leave out one of them")
        sound = None if output_audio in {None, STDOUT} else Path(str(output_audio))
        check_outputs(settings.output, [source.name for source in sources], (sound,))
        self._output_audio = output_audio
        self._translated_sound: OutputAudio | None = None
        self._plan = _plan_or_error(settings)
        self._settings = settings
        self._sources = sources
        self._done_marks = done_marks
        self._may_skip = not results_are_missing(settings.output)
        self._open_controls = open_controls
        self._wire_recorder: WireRecorder | None = None
        self._controls: Controls | None = None
        self._parallel_sources = min(max(1, jobs // self._sessions_each), len(sources))
        self._pool: Pool[NamedSource] = Pool(self._parallel_sources, self._may_begin)
        self._streamers: Streamers | None = None
        self._busy: list[NamedSource] = []
        """Sources that another process works on."""
        self._summaries: list[Summary] = []
        self._source_ended = asyncio.Event()
        self._stdout_closed = False
        self._began = 0.0

    @property
    def _sessions_each(self) -> int:
        return len(SIDES) if self._split else 1

    async def run(self, interrupts: Interrupts) -> int:
        """Send each source to the endpoint of the settings, and return the worst exit code.

        Raises:
            UsageError: A file cannot be used, or results could not be written.
        """
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        self._interrupts = interrupts
        parallel = self._parallel_sources > 1 or self._split
        self._output = output = make_output(
            self._settings.output,
            many_sources=len(self._sources) > 1,
            sources=[source.name for source in self._sources],
            crowd=len(self._sources) * self._sessions_each if parallel else 0,
            on_stdout_closed=partial(call_soon, loop, self._on_stdout_closed),
            # Words beside sound on stdout are for people.
            stdout=sys.stderr if self._output_audio == STDOUT else sys.stdout,
            stderr=sys.stderr,
            environ=os.environ,
            on_printed=self._on_printed,
            process="" if self._done_marks is None else self._done_marks.token,
        )
        if output.view is not None:
            interrupts.terminal_users.append(output.view)
        try:
            self._wire_recorder = open_wire_recorder(self._settings.output, output.on_event)
            self._open_translated_sound(loop)
            self._streamers = streamers = Streamers(
                self._settings,
                output.on_event,
                progress=output.wants_progress,
                lower_limit=self._pool.shrink,
                wire_recorder=self._wire_recorder,
                count_unwritten=self._count_unwritten,
                on_translated_sound=self._on_translated_sound,
            )
            interrupts.subscribe(self._on_interrupt)
            self._start_controls(loop, streamers)
            exit_code = await self._deliver(streamers)
        finally:
            if self._controls is not None:
                self._controls.close()
            if self._wire_recorder is not None:
                await asyncio.to_thread(self._wire_recorder.close)
            if self._translated_sound is not None:
                await asyncio.to_thread(self._translated_sound.close)
            # After a closed stdout, the last results may be unread: the spool keeps them.
            all_printed = await self._close() and output.failure is None and not self._stdout_closed
            await self._close_marks()
            if self._streamers is not None:
                await self._streamers.close(printed=all_printed)
        failure = output.failure or (self._done_marks and self._done_marks.failure)
        if failure:
            name = printable(failure.filename or "the results")
            raise UsageError(f"cannot write {name}: {failure.strerror}", "make room, or write elsewhere")
        if self._wire_recorder is not None and self._wire_recorder.error is not None:
            raise self._wire_recorder.error
        if self._translated_sound is not None and self._translated_sound.error is not None:
            raise self._translated_sound.error
        # Whoever ended the run waits for its words; a reader that leaves by itself does not.
        unread = interrupts.codes and output.unwritten
        return worst_exit([exit_code, EXIT_INCOMPLETE]) if unread else exit_code

    async def _close(self) -> bool:
        """Wait for a slow reader of stdout. False if a second interrupt ends the wait."""
        read = await self._flush()
        while not await asyncio.to_thread(self._output.close, _LAST_LINES_S):
            if self._interrupts.hurried:
                return False
        return read

    async def _flush(self) -> bool:
        """Wait for the reader of stdout. After a second interrupt, give up what it has not read, and return False."""
        while not await asyncio.to_thread(self._output.flush, _LAST_LINES_S):
            if self._interrupts.hurried:
                self._output.give_up()
                return False
        return True

    async def _count_unwritten(self) -> int:
        """Wait for the reader of stdout, and return how many finals had none."""
        if len(self._sources) * self._sessions_each > 1:
            return 0  # results wait for those of other sources
        await self._flush()
        return self._output.unwritten

    async def _close_marks(self) -> None:
        """Wait for the marks of finished sources. A second interrupt ends the wait: those sources are sent again."""
        while self._done_marks is not None and not await asyncio.to_thread(self._done_marks.close, _LAST_LINES_S):
            if self._interrupts.hurried:
                break

    async def _deliver(self, streamers: Streamers) -> int:
        if isinstance(self._plan, RtError):
            return self._report_error(self._plan)
        async with AsyncExitStack() as stack:
            await streamers.open(self._plan, stack)
            await self._pool.each(self._sources, partial(self._send, streamers, self._plan))
            await self._wait_for_others(partial(self._send, streamers, self._plan))
            if not self._summaries and self._interrupts.codes:
                self._report_unopened(self._sources[0], self._interrupts.codes[0])
            return self._conclude()

    # -- one source ---------------------------------------------------------------------------------------------------

    async def _may_begin(self) -> bool:
        """Wait while too many results wait for an earlier source. False if the run is stopping."""
        while self._output.held_bytes > _MOST_WAITING_BYTES and not self._stopping:
            self._source_ended.clear()
            await self._source_ended.wait()
        return not self._stopping

    async def _send(self, streamers: Streamers, plan: Plan, source: NamedSource) -> None:
        source_output = self._output.place(source.name, SIDES if self._split else ())
        release: Callable[[], None] | None = None
        on_written: Callable[[], None] | None = None
        marked = asyncio.Event()
        try:
            if self._done_marks is not None:
                taken = await asyncio.to_thread(
                    self._done_marks.take,
                    source.name,
                    determinants(self._settings, plan),
                    result_path(self._settings.output, source.name),
                    again=not self._may_skip,
                )
                if taken is Standing.DONE:
                    self._skip(source, source_output)
                    return
                if isinstance(taken, Standing):
                    self._busy.append(source)
                    return
                if taken is not None:
                    release = partial(self._done_marks.release, taken)
                    on_marked = partial(call_soon, asyncio.get_running_loop(), marked.set)
                    finish = partial(self._done_marks.finish, taken, on_marked)
                if self._stopping:
                    return
            summaries = await streamers.send(source, source_output.handler)
            self._summaries += summaries
            if release is not None and all(summary.complete for summary in summaries):
                release, on_written = None, finish
        except Exception as exc:  # noqa: BLE001 - a bug ends this source, not the others
            error = exc if isinstance(exc, RtError) else unexpected(exc)
            source_output.handler()(error_event(error))
            self._end_unopened(source, error.exit_code, source_output)
        finally:
            source_output.end(on_written)
            if release is not None:
                release()
            self._source_ended.set()
        if on_written is not None:
            await self._until_marked(marked)

    async def _until_marked(self, marked: asyncio.Event) -> None:
        """Begin the next source after the mark of this one: a process that is killed has one to be sent again.

        Results on stdout may wait for those of other sources, and for their reader.
        """
        if self._settings.output.output_dir is not None and self._output.failure is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(marked.wait(), _MARK_WITHIN_S)

    async def _wait_for_others(self, send: Callable[[NamedSource], Awaitable[None]]) -> None:
        """Wait for the sources that other processes work on, and send those that they leave."""
        if self._busy and not self._stopping:
            self._output.on_event(Noted(f"waiting for sources that other processes work on: {len(self._busy)}"))
        while self._done_marks is not None and self._busy and not self._stopping:
            self._source_ended.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._source_ended.wait(), _LOOK_EVERY_S)
            results = {source.name: result_path(self._settings.output, source.name) for source in self._busy}
            busy = await asyncio.to_thread(self._done_marks.busy, results)
            left = [source for source in self._busy if source.name not in busy]
            self._busy = [source for source in self._busy if source.name in busy]
            self._may_skip = not results_are_missing(self._settings.output)
            await self._pool.each(left, send)

    # -- summaries ----------------------------------------------------------------------------------------------------

    def _skip(self, source: NamedSource, source_output: SourceOutput) -> None:
        summary = unopened_summary(source.name, EXIT_OK, self._wall_ms(), skipped=True)
        self._summaries.append(summary)
        source_output.handler()(summary)

    def _report_unopened(self, source: NamedSource, exit_code: int) -> None:
        """Report the summary of a source that was never opened."""
        source_output = self._output.place(source.name)
        self._end_unopened(source, exit_code, source_output)
        source_output.end()

    def _end_unopened(self, source: NamedSource, exit_code: int, source_output: SourceOutput) -> None:
        summary = unopened_summary(source.name, exit_code, self._wall_ms())
        self._summaries.append(summary)
        source_output.handler()(summary)

    def _report_error(self, error: RtError) -> int:
        """Report an error that affects every source, and a summary for each source."""
        self._output.on_event(error_event(error))
        for source in self._sources:
            self._report_unopened(source, error.exit_code)
        return self._conclude()

    def _conclude(self) -> int:
        incomplete = len(self._summaries) < len(self._sources) * self._sessions_each
        totals = total(
            self._summaries,
            self._interrupts.codes[:1] if incomplete else [],
            self._wall_ms(),
        )
        if len(self._sources) * self._sessions_each > 1:
            self._output.on_event(totals)
        return totals.exit

    @property
    def _stopping(self) -> bool:
        return bool(self._interrupts.codes) or self._stdout_closed

    def _wall_ms(self) -> int:
        return round((asyncio.get_running_loop().time() - self._began) * 1000)

    def _open_translated_sound(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._output_audio is None or isinstance(self._plan, RtError):
            return
        self._translated_sound = OutputAudio(
            self._output_audio,
            self._plan.session.rate_hz,
            self._output.on_event,
            on_closed=partial(call_soon, loop, self._on_stdout_closed),
            replace=self._settings.output.force,
        )

    def _on_translated_sound(self, pcm: bytes) -> None:
        if self._translated_sound is not None:
            self._translated_sound.take(pcm)

    # -- the end, and commands ----------------------------------------------------------------------------------------

    def _start_controls(self, loop: asyncio.AbstractEventLoop, streamers: Streamers) -> None:
        if self._open_controls is not None:
            self._controls = self._open_controls(loop, self._output.on_event, streamers.obey)
        if self._controls is not None:
            self._interrupts.terminal_users.append(self._controls)

    def _on_interrupt(self, exit_code: int) -> None:
        self._source_ended.set()
        if self._interrupts.hurried and not self._settings.output.quiet:
            self._output.report_unconfirmed(labelled=len(self._sources) * self._sessions_each > 1)
        if self._streamers is not None:
            self._streamers.interrupt(exit_code)

    def _on_printed(self, turn: int) -> None:
        if self._streamers is not None:
            self._streamers.printed(turn)

    def _on_stdout_closed(self) -> None:
        self._output.report_unwritten()
        self._stdout_closed = True
        self._source_ended.set()
        if self._streamers is not None:
            self._streamers.hang_up()


def _plan_or_error(settings: Settings) -> Plan | RtError:
    """Return the plan, or the error that keeps all sources from being sent, which is reported for each of them."""
    try:
        return make_plan(settings, os.environ)
    except UsageError:
        raise
    except RtError as exc:
        return exc
