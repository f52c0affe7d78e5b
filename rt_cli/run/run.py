"""One call of ``rt send`` or ``rt stream``: endpoint, output, signals, all sources, exit code."""

from __future__ import annotations

import asyncio
import math
import os
import sys
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rt_cli.audio.channels import SIDES, of_channel
from rt_cli.clock import SystemClock
from rt_cli.errors import EXIT_INTERRUPTED, EXIT_OK, RtError, UsageError, unexpected
from rt_cli.events import EndpointChosen, Warned, error_event
from rt_cli.output.output import make_output
from rt_cli.protocol.sanitize import printable
from rt_cli.run.interrupts import Interrupts, call_soon, ignore_signals
from rt_cli.run.open_endpoint import DEMO_CODE, open_endpoint
from rt_cli.run.plan import Plan, make_plan
from rt_cli.run.pool import Pool
from rt_cli.run.record_option import check_outputs, open_wire_recorder
from rt_cli.run.skip_done import determinants
from rt_cli.run.totals import total, unopened_summary
from rt_cli.settings import auto
from rt_cli.streaming.cost import bill_of
from rt_cli.streaming.job import Job
from rt_cli.streaming.streamer import Streamer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from rt_cli.audio.source import Source, Warn
    from rt_cli.events import EventHandler, Summary
    from rt_cli.output.results.source_output import SourceOutput
    from rt_cli.protocol.endpoint.endpoint import Endpoint
    from rt_cli.run.skip_done import DoneMarks
    from rt_cli.run.sources import NamedSource
    from rt_cli.settings import Settings
    from rt_cli.streaming.capture.push_to_talk import Command
    from rt_cli.streaming.transport.wire_recorder import WireRecorder

_LAST_LINES_S = 0.3
_MOST_WAITING_BYTES = 64 * 1024 * 1024
"""No new source starts while more results than this wait for an earlier source: a thousand hours of speech."""


class Controls(Protocol):
    """Controls of a run besides the signals that end it: keys, a FIFO."""

    def attach(self, on_command: Callable[[Command], None]) -> None:
        """Pass all commands to this function from now on, starting with the queued ones."""
        ...

    def restore(self) -> None:
        """Restore the terminal mode. Safe in a signal handler."""
        ...

    def close(self) -> None:
        """Stop reading keys and the FIFO. Idempotent."""
        ...


OpenControls = Callable[["asyncio.AbstractEventLoop", "EventHandler", Callable[[], None]], Controls | None]
"""Opens the controls of a run. Its arguments: the loop, the event handler, the function that ends the run.

Returns None for no controls. Raises UsageError if one of them cannot be used.
"""


def run(
    settings: Settings,
    sources: Sequence[NamedSource],
    *,
    jobs: int = 1,
    done_marks: DoneMarks | None = None,
    open_controls: OpenControls | None = None,
) -> int:
    """Send each source to the endpoint of the settings, and return the worst exit code.

    Args:
        settings: Common to all sources.
        sources: In the order of their results.
        jobs: The most sessions in parallel.
        done_marks: Marks of finished sources: these are skipped, and newly finished ones are added. None disables it.
        open_controls: Opens the controls besides the signals that end the run; None for no controls.

    Raises:
        UsageError: The settings contradict each other, or a file cannot be used.
    """
    if settings.input.channel == "split" and any(source.spool or source.resume for source in sources):
        raise UsageError("a spool is for one session, and --channel split makes two", "leave out one of them")
    check_outputs(settings.output, [source.name for source in sources])
    plan: Plan | RtError
    try:
        plan = make_plan(settings, os.environ)
    except UsageError:
        raise
    except RtError as exc:
        plan = exc
    with asyncio.Runner() as runner:
        exit_code = runner.run(_Run(settings, sources, plan, jobs, done_marks, open_controls).run())
        # All output is written. Closing the loop waits for its threads, such as a DNS query without answer: limit that.
        exit_timer = threading.Timer(_LAST_LINES_S, os._exit, (exit_code,))
        exit_timer.daemon = True
        exit_timer.start()
    exit_timer.cancel()
    ignore_signals()
    return exit_code


class _Run:
    """One call of a command.

    Args:
        settings: Common to all sources.
        sources: In the order of their results.
        plan: The plan, or the error that keeps all sources from being sent.
        jobs: The most sessions in parallel.
        done_marks: Marks of finished sources; None disables it.
        open_controls: Opens the controls besides the signals that end the run.
    """

    def __init__(
        self,
        settings: Settings,
        sources: Sequence[NamedSource],
        plan: Plan | RtError,
        jobs: int,
        done_marks: DoneMarks | None,
        open_controls: OpenControls | None,
    ) -> None:
        self._settings = settings
        self._sources = sources
        self._plan = plan
        self._done_marks = done_marks
        self._open_controls = open_controls
        self._bill = bill_of(settings)
        self._wire_recorder: WireRecorder | None = None
        self._controls: Controls | None = None
        self._split = settings.input.channel == "split"
        self._parallel_sources = min(max(1, jobs // self._sessions_each), len(sources))
        self._pool: Pool[NamedSource] = Pool(self._parallel_sources, self._may_begin)
        self._streamers: list[Streamer] = []
        """Running streamers. A streamer with a spool stays until its results are written."""
        self._summaries: list[Summary] = []
        self._source_ended = asyncio.Event()
        self._stdout_closed = False
        self._began = 0.0
        self._remark = ""
        self._last_settled_at = -math.inf

    @property
    def _sessions_each(self) -> int:
        return len(SIDES) if self._split else 1

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        self._interrupts = Interrupts(self._interrupt, self._restore_terminal)
        parallel = self._parallel_sources > 1 or self._split
        self._output = output = make_output(
            self._settings.output,
            many_sources=len(self._sources) > 1,
            sources=[source.name for source in self._sources],
            crowd=len(self._sources) * self._sessions_each if parallel else 0,
            on_stdout_closed=partial(call_soon, loop, self._on_stdout_closed),
            stdout=sys.stdout,
            stderr=sys.stderr,
            environ=os.environ,
            on_printed=self._on_printed,
        )
        self._interrupts.install()
        try:
            self._wire_recorder = open_wire_recorder(self._settings.output, output.on_event)
            self._start_controls(loop)
            exit_code = await self._deliver()
        finally:
            if self._controls is not None:
                self._controls.close()
            if self._wire_recorder is not None:
                await asyncio.to_thread(self._wire_recorder.close)
            # After a closed stdout, the last results may be unread: the spool keeps them.
            all_printed = await self._close() and output.failure is None and not self._stdout_closed
            await self._close_marks()
            for streamer in self._streamers:
                await asyncio.to_thread(streamer.close, printed=all_printed)
        failure = output.failure or (self._done_marks and self._done_marks.failure)
        if failure:
            name = printable(failure.filename or "the results")
            raise UsageError(f"cannot write {name}: {failure.strerror}", "make room, or write elsewhere")
        if self._wire_recorder is not None and self._wire_recorder.error is not None:
            raise self._wire_recorder.error
        return exit_code

    async def _close(self) -> bool:
        """Wait for a slow reader of stdout. False if a second signal ends the wait."""
        while not await asyncio.to_thread(self._output.close, _LAST_LINES_S):
            if self._interrupts.hurried:
                return False
        return True

    async def _close_marks(self) -> None:
        """Wait for the marks of finished sources. A second signal ends the wait: those sources are sent again."""
        while self._done_marks is not None and not await asyncio.to_thread(self._done_marks.close, _LAST_LINES_S):
            if self._interrupts.hurried:
                break

    async def _deliver(self) -> int:
        if isinstance(self._plan, RtError):
            return self._report_error(self._plan)
        async with AsyncExitStack() as stack:
            endpoint = await self._endpoint(self._plan, stack)
            await self._pool.each(self._sources, partial(self._send, endpoint, self._plan))
            if not self._summaries and self._interrupts.codes:
                self._report_unopened(self._sources[0], self._interrupts.codes[0])
            return self._conclude()

    async def _endpoint(self, plan: Plan, stack: AsyncExitStack) -> Endpoint:
        endpoint = await open_endpoint(self._settings, plan, stack, on_embedded=self._on_embedded)
        where = "embedded" if endpoint.embedded else endpoint.host
        self._output.on_event(EndpointChosen(where, endpoint.model, plan.choice.reason, self._remark))
        if endpoint.trust.insecure and endpoint.url.startswith("wss:"):
            warning = "the certificate is not checked (--insecure): whoever is on the way can listen"
            self._output.on_event(Warned("insecure", warning))
        return endpoint

    def _on_embedded(self, warning: Warned, sessions: int) -> None:
        self._pool.shrink(sessions // self._sessions_each)
        if warning.code == DEMO_CODE:
            self._remark = "demo quality, English only"
        self._output.on_event(warning)

    # -- one source ---------------------------------------------------------------------------------------------------

    async def _may_begin(self) -> bool:
        """Wait while too many results wait for an earlier source. False if the run is stopping."""
        while self._output.held_bytes > _MOST_WAITING_BYTES and not self._stopping:
            self._source_ended.clear()
            await self._source_ended.wait()
        return not self._stopping

    async def _send(self, endpoint: Endpoint, plan: Plan, source: NamedSource) -> None:
        source_output = self._output.place(source.name, SIDES if self._split else ())
        on_written: Callable[[], None] | None = None
        try:
            mark = None
            if self._done_marks is not None:
                mark = await asyncio.to_thread(
                    self._done_marks.mark_of, source.name, determinants(self._settings, plan)
                )
                if mark is not None and mark in self._done_marks:
                    self._skip(source, source_output)
                    return
                if self._stopping:
                    return
            summaries = await self._stream(source, endpoint, plan, source_output)
            self._summaries += summaries
            if self._done_marks is not None and mark is not None and all(summary.complete for summary in summaries):
                on_written = partial(self._done_marks.add, mark)
        except Exception as exc:  # noqa: BLE001 - a bug ends this source, not the others
            error = exc if isinstance(exc, RtError) else unexpected(exc)
            source_output.handler()(error_event(error))
            self._end_unopened(source, error.exit_code, source_output)
        finally:
            source_output.end(on_written)
            self._source_ended.set()

    async def _stream(
        self, source: NamedSource, endpoint: Endpoint, plan: Plan, source_output: SourceOutput
    ) -> list[Summary]:
        if not self._split:
            job = self._job(source, source.open, endpoint, plan)
            return [await self._run_streamer(job, source_output.handler())]
        from rt_cli.audio.split import Split

        split = Split(source.open)

        def warn(code: str, message: str) -> None:
            source_output.handler()(Warned(code, message))

        async with asyncio.TaskGroup() as tasks:
            split_task = tasks.create_task(split.run(plan.session.rate_hz, warn), name="split")
            sides = [
                tasks.create_task(
                    self._run_streamer(
                        self._job(source, side.open, endpoint, plan, channel), source_output.handler(channel)
                    ),
                    name=channel,
                )
                for channel, side in zip(SIDES, split.sides, strict=True)
            ]
            await asyncio.wait(sides)
            split_task.cancel()
        return [side.result() for side in sides]

    def _job(
        self,
        source: NamedSource,
        open_source: Callable[[int, Warn], Awaitable[Source]],
        endpoint: Endpoint,
        plan: Plan,
        channel: str | None = None,
    ) -> Job:
        save_audio = self._settings.output.save_audio
        return Job(
            source.name,
            open_source,
            endpoint,
            plan.session,
            self._settings,
            spool=source.spool,
            resume=source.resume,
            save_audio=None if save_audio is None else of_channel(Path(save_audio), channel),
            bill=self._bill,
            wait_for_room=self._wait_for_room,
            witness=None
            if self._wire_recorder is None
            else partial(self._wire_recorder.connection, endpoint, source.name),
        )

    async def _run_streamer(self, job: Job, on_event: EventHandler) -> Summary:
        # A split source needs progress events, too: the merge orders the two channels by them.
        streamer = Streamer(job, SystemClock(), on_event, progress=self._output.wants_progress or self._split)
        self._streamers.append(streamer)
        # Attach only when all channels exist: each of them must receive the queued commands.
        if self._controls is not None and len(self._streamers) >= self._sessions_each:
            self._controls.attach(self._on_command)
        summary = await streamer.run()
        if summary.ledger.settled:
            self._last_settled_at = asyncio.get_running_loop().time()
        if job.spool is None and job.resume is None:
            self._streamers.remove(streamer)
        return summary

    def _wait_for_room(self) -> bool:
        """Return whether to wait for room at the endpoint: other sessions of this run may end soon."""
        connected = sum(streamer.connected for streamer in self._streamers)
        since = asyncio.get_running_loop().time() - self._last_settled_at
        if connected and self._pool.shrink(connected // self._sessions_each):
            self._output.on_event(Warned("no_room", f"the endpoint has no room: {connected} at once from here on"))
        # The endpoint has worked before, so this counts as an outage.
        return connected > 0 or since < auto.retry_for_s(self._settings.delivery.retry_for_s, live=False)

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
            stdout_closed=self._stdout_closed,
        )
        if len(self._sources) * self._sessions_each > 1:
            self._output.on_event(totals)
        return totals.exit

    @property
    def _stopping(self) -> bool:
        return bool(self._interrupts.codes) or self._stdout_closed

    def _wall_ms(self) -> int:
        return round((asyncio.get_running_loop().time() - self._began) * 1000)

    # -- signals and commands -----------------------------------------------------------------------------------------

    def _restore_terminal(self) -> None:
        if self._controls is not None:
            self._controls.restore()

    def _start_controls(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._open_controls is not None:
            quit_run = partial(self._interrupts.receive, EXIT_INTERRUPTED)
            self._controls = self._open_controls(loop, self._output.on_event, quit_run)

    def _on_command(self, command: Command) -> None:
        for streamer in self._streamers:
            streamer.obey(command)

    def _interrupt(self, exit_code: int) -> None:
        self._source_ended.set()
        for streamer in self._streamers:
            streamer.interrupt(exit_code)

    def _on_printed(self, turn: int) -> None:
        # Only a streamer with a spool uses this, and a run with a spool has one streamer.
        for streamer in self._streamers:
            streamer.printed(turn)

    def _on_stdout_closed(self) -> None:
        self._stdout_closed = True
        self._source_ended.set()
        for streamer in self._streamers:
            streamer.hang_up()
