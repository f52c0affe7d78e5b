"""From settings and sources to an exit code: endpoint, output, signals, sources in turn or at once."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rt_cli.audio.channels import SIDES, of_channel
from rt_cli.clock import SystemClock
from rt_cli.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_TERMINATED, RtError, UsageError
from rt_cli.events import Errored, Noted, Warned
from rt_cli.output.output import make_output
from rt_cli.protocol.sanitize import printable
from rt_cli.run.plan import Plan, endpoint_of, make_plan
from rt_cli.run.pool import Pool
from rt_cli.run.record_option import open_wirelog
from rt_cli.run.skip_done import determinants
from rt_cli.run.totals import total, untouched
from rt_cli.streaming.cost import bill_of
from rt_cli.streaming.delivery.reconnect import RETRY_FINITE_S
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

_SIGNALS = {signal.SIGINT: EXIT_INTERRUPTED, signal.SIGTERM: EXIT_TERMINATED}
_LAST_WORDS_S = 0.3
_MOST_HELD_BYTES = 64 * 1024 * 1024
"""Of results that wait for those of an earlier source, before no more sources are begun: a thousand hours of speech."""


class Controls(Protocol):
    """What controls a run besides signals that end it: keys, a FIFO."""

    def attach(self, obey: Callable[[Command], None]) -> None:
        """From now on commands go there; first those that came before."""
        ...

    def restore(self) -> None:
        """Give the terminal back; may be called from a signal handler."""
        ...

    def close(self) -> None:
        """Listen no more. Idempotent."""
        ...


OpenControls = Callable[["asyncio.AbstractEventLoop", "EventHandler", Callable[[], None]], Controls | None]
"""Opens the controls of a run, given its loop, who is told, and what ends the run; None: there are none.

Raises UsageError where one of them cannot be used.
"""


def run(
    settings: Settings,
    sources: Sequence[NamedSource],
    *,
    jobs: int = 1,
    done: DoneMarks | None = None,
    open_controls: OpenControls | None = None,
) -> int:
    """Send each source to the endpoint that the settings mean, and return the worst exit code.

    Args:
        settings: Of all sources.
        sources: In the order of their results.
        jobs: How many sessions may run at once.
        done: Sources that it knows are skipped, those that end well it is told of; None for nothing of the kind.
        open_controls: Opens what controls the run besides signals that end it; None for nothing.

    Raises:
        UsageError: Before anything was sent.
    """
    if settings.input.channel == "split" and any(source.spool or source.resume for source in sources):
        raise UsageError("a spool is for one session, and --channel split makes two", "leave out one of them")
    plan: Plan | RtError
    try:
        plan = make_plan(settings, os.environ)
    except UsageError:
        raise
    except RtError as exc:
        plan = exc
    with asyncio.Runner() as runner:
        exit_code = runner.run(_Run(settings, sources, plan, jobs, done, open_controls).run())
        # Everything is said. The loop would wait for its threads: for a look-up of a name that nobody answers, say.
        hurry = threading.Timer(_LAST_WORDS_S, os._exit, (exit_code,))
        hurry.daemon = True
        hurry.start()
    hurry.cancel()
    return exit_code


class _Run:
    """One call of a command.

    Args:
        settings: Of all sources.
        sources: In order.
        plan: What was decided, or why nothing can be sent anywhere.
        jobs: How many sessions at once.
        done: What earlier runs have finished, if that counts.
        open_controls: Opens what controls it besides signals that end it.
    """

    def __init__(
        self,
        settings: Settings,
        sources: Sequence[NamedSource],
        plan: Plan | RtError,
        jobs: int,
        done: DoneMarks | None,
        open_controls: OpenControls | None,
    ) -> None:
        self._settings = settings
        self._sources = sources
        self._plan = plan
        self._done = done
        self._open_controls = open_controls
        self._bill = bill_of(settings)
        self._wirelog: WireRecorder | None = None
        self._controls: Controls | None = None
        self._split = settings.input.channel == "split"
        self._at_once = min(max(1, jobs // self._sessions_each), len(sources))
        self._pool: Pool[NamedSource] = Pool(self._at_once, self._may_begin)
        self._streamers: list[Streamer] = []
        """Those that run, and one with a spool until its results are out."""
        self._summaries: list[Summary] = []
        self._source_ended = asyncio.Event()
        self._signals: list[int] = []
        self._stdout_closed = False
        self._began = 0.0
        self._room_made_at = -math.inf

    @property
    def _sessions_each(self) -> int:
        return len(SIDES) if self._split else 1

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        together = self._at_once > 1 or self._split
        self._output = output = make_output(
            self._settings.output,
            many_sources=len(self._sources) > 1,
            sources=[source.name for source in self._sources],
            crowd=len(self._sources) * self._sessions_each if together else 0,
            on_stdout_closed=partial(_soon, loop, self._hang_up),
            stdout=sys.stdout,
            stderr=sys.stderr,
            environ=os.environ,
            on_printed=self._printed,
        )
        self._listen(loop)
        try:
            self._wirelog = open_wirelog(
                self._settings.output, [source.name for source in self._sources], output.on_event
            )
            self._take_control(loop)
            exit_code = await self._deliver()
        finally:
            if self._controls is not None:
                self._controls.close()
            if self._wirelog is not None:
                await asyncio.to_thread(self._wirelog.close)
            # Who left has not read what was printed last.
            printed = await self._close() and output.failure is None and not self._stdout_closed
            for streamer in self._streamers:
                streamer.close(printed=printed)
        failure = output.failure or (self._done and self._done.failure)
        if failure:
            place = printable(failure.filename or "the results")
            raise UsageError(f"cannot write {place}: {failure.strerror}", "make room, or write elsewhere")
        if self._wirelog is not None and self._wirelog.error is not None:
            raise self._wirelog.error
        return exit_code

    async def _close(self) -> bool:
        """Let a slow reader take its time, until a second signal says that it has had enough; False then."""
        while not await asyncio.to_thread(self._output.close, _LAST_WORDS_S):
            if len(self._signals) > 1:
                return False
        return True

    async def _deliver(self) -> int:
        if isinstance(self._plan, RtError):
            return self._refused(self._plan)
        async with AsyncExitStack() as stack:
            endpoint = await self._endpoint(self._plan, stack)
            await self._pool.each(self._sources, partial(self._send, endpoint, self._plan))
            if not self._summaries and self._signals:
                self._leave(self._sources[0], self._signals[0])
            return self._conclude()

    async def _endpoint(self, plan: Plan, stack: AsyncExitStack) -> Endpoint:
        url = plan.choice.url
        if url is None:
            from rt_cli.server.access.limits import Limits
            from rt_cli.server.server import serve

            limits = Limits()
            self._pool.shrink(limits.sessions // self._sessions_each)
            server = await stack.enter_async_context(serve(limits=limits))
            self._output.on_event(Warned("demo_quality", server.notice))
            url = server.url
        endpoint = endpoint_of(self._settings, plan.choice, plan.key, url)
        self._output.on_event(Noted(f"endpoint: {endpoint.shown} ({plan.choice.reason}), model {endpoint.model}"))
        if endpoint.trust.insecure and endpoint.url.startswith("wss:"):
            unchecked = "the certificate is not checked (--insecure): whoever is on the way can listen"
            self._output.on_event(Warned("insecure", unchecked))
        return endpoint

    # -- one source ---------------------------------------------------------------------------------------------------

    async def _may_begin(self) -> bool:
        """Wait while too many results are held back. False when nothing more is wanted."""
        while self._output.held_bytes > _MOST_HELD_BYTES and not self._over:
            self._source_ended.clear()
            await self._source_ended.wait()
        return not self._over

    async def _send(self, endpoint: Endpoint, plan: Plan, source: NamedSource) -> None:
        place = self._output.place(source.name, SIDES if self._split else ())
        told: Callable[[], None] | None = None
        try:
            mark = None
            if self._done is not None:
                mark = await asyncio.to_thread(self._done.mark_of, source.name, determinants(self._settings, plan))
                if mark is not None and mark in self._done:
                    self._skip(source, place)
                    return
                if self._over:
                    return
            summaries = await self._stream(source, endpoint, plan, place)
            self._summaries += summaries
            if self._done is not None and mark is not None and all(summary.complete for summary in summaries):
                told = partial(self._done.add, mark)
        finally:
            place.end(told)
            self._source_ended.set()

    async def _stream(self, source: NamedSource, endpoint: Endpoint, plan: Plan, place: SourceOutput) -> list[Summary]:
        if not self._split:
            job = self._job(source, source.open, endpoint, plan)
            return [await self._run_streamer(job, place.handler())]
        from rt_cli.audio.split import Split

        split = Split(source.open)

        def tell(code: str, message: str) -> None:
            place.handler()(Warned(code, message))

        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(split.run(endpoint.dialect.rate_hz, tell), name="split")
            sides = [
                tasks.create_task(
                    self._run_streamer(self._job(source, side.open, endpoint, plan, channel), place.handler(channel)),
                    name=channel,
                )
                for channel, side in zip(SIDES, split.sides, strict=True)
            ]
            await asyncio.wait(sides)
            reading.cancel()
        return [side.result() for side in sides]

    def _job(
        self,
        source: NamedSource,
        opened: Callable[[int, Warn], Awaitable[Source]],
        endpoint: Endpoint,
        plan: Plan,
        channel: str | None = None,
    ) -> Job:
        save_audio = self._settings.output.save_audio
        return Job(
            source.name,
            opened,
            endpoint,
            plan.turns,
            plan.session,
            self._settings,
            spool=source.spool,
            resume=source.resume,
            save_audio=None if save_audio is None else of_channel(Path(save_audio), channel),
            bill=self._bill,
            wait_for_room=self._wait_for_room,
            witness=None if self._wirelog is None else partial(self._wirelog.connection, endpoint, source.name),
        )

    async def _run_streamer(self, job: Job, on_event: EventHandler) -> Summary:
        # The order of two channels is known by their marks.
        streamer = Streamer(job, SystemClock(), on_event, progress=self._watched or self._split)
        self._streamers.append(streamer)
        # Both channels obey what was said before they were there.
        if self._controls is not None and len(self._streamers) >= self._sessions_each:
            self._controls.attach(self._obey)
        summary = await streamer.run()
        if summary.ledger.settled:
            self._room_made_at = asyncio.get_running_loop().time()
        if job.spool is None and job.resume is None:
            self._streamers.remove(streamer)
        return summary

    def _wait_for_room(self) -> bool:
        """The endpoint has no room for one of ours: worth waiting for where others of ours make it."""
        connected = sum(streamer.connected for streamer in self._streamers)
        since = asyncio.get_running_loop().time() - self._room_made_at
        if connected and self._pool.shrink(connected // self._sessions_each):
            self._output.on_event(Warned("no_room", f"the endpoint has no room: {connected} at once from here on"))
        # It has been an endpoint for us, so this is an outage like any other.
        patience_s = self._settings.delivery.retry_for_s
        return connected > 0 or since < (RETRY_FINITE_S if patience_s is None else patience_s)

    # -- the account --------------------------------------------------------------------------------------------------

    def _skip(self, source: NamedSource, place: SourceOutput) -> None:
        summary = untouched(source.name, EXIT_OK, self._wall_ms(), skipped=True)
        self._summaries.append(summary)
        place.handler()(summary)

    def _leave(self, source: NamedSource, exit_code: int) -> None:
        """The summary of a source that was never opened."""
        summary = untouched(source.name, exit_code, self._wall_ms())
        self._summaries.append(summary)
        place = self._output.place(source.name)
        place.handler()(summary)
        place.end()

    def _refused(self, error: RtError) -> int:
        """Nothing can be sent anywhere: every source has its summary all the same."""
        self._output.on_event(Errored(error.code, error.message, error.hint))
        for source in self._sources:
            self._leave(source, error.exit_code)
        return self._conclude()

    def _conclude(self) -> int:
        short = len(self._summaries) < len(self._sources) * self._sessions_each
        summed = total(
            self._summaries, self._signals[:1] if short else [], self._wall_ms(), stdout_closed=self._stdout_closed
        )
        if len(self._sources) * self._sessions_each > 1:
            self._output.on_event(summed)
        return summed.exit

    @property
    def _over(self) -> bool:
        return bool(self._signals) or self._stdout_closed

    @property
    def _watched(self) -> bool:
        return self._settings.output.status != "off" and not self._settings.output.quiet

    def _wall_ms(self) -> int:
        return round((asyncio.get_running_loop().time() - self._began) * 1000)

    # -- what comes from outside --------------------------------------------------------------------------------------

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take signals; through ``signal.signal``, which exists on every system."""
        for number, exit_code in _SIGNALS.items():
            signal.signal(number, partial(self._on_signal, loop, exit_code))
        # A terminal that was closed, a line that was cut: what was said is delivered. With nohup it goes on.
        hangup = getattr(signal, "SIGHUP", None)
        if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
            signal.signal(hangup, partial(self._on_signal, loop, EXIT_TERMINATED))

    def _on_signal(self, loop: asyncio.AbstractEventLoop, exit_code: int, *_frame: object) -> None:
        self._signals.append(exit_code)
        if len(self._signals) > 2:  # noqa: PLR2004 - the third means it
            if self._controls is not None:
                self._controls.restore()
            os._exit(exit_code)
        _soon(loop, partial(self._interrupt, exit_code))

    def _take_control(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._open_controls is not None:
            quit_run = partial(self._on_signal, loop, EXIT_INTERRUPTED)
            self._controls = self._open_controls(loop, self._output.on_event, quit_run)

    def _obey(self, command: Command) -> None:
        for streamer in self._streamers:
            streamer.obey(command)

    def _interrupt(self, exit_code: int) -> None:
        self._source_ended.set()
        for streamer in self._streamers:
            streamer.interrupt(exit_code)

    def _printed(self, turn: int) -> None:
        # Of one with a spool there is only one.
        for streamer in self._streamers:
            streamer.printed(turn)

    def _hang_up(self) -> None:
        self._stdout_closed = True
        self._source_ended.set()
        for streamer in self._streamers:
            streamer.hang_up()


def _soon(loop: asyncio.AbstractEventLoop, act: Callable[[], None]) -> None:
    # A loop that has closed has nothing left to stop.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(act)
