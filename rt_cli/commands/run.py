"""From settings and sources to an exit code: endpoint, output, signals, one stream after the other."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING

from rt_cli.clock import SystemClock
from rt_cli.commands.plan import Plan, endpoint_of, make_plan
from rt_cli.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_TERMINATED, RtError, UsageError, worst_exit
from rt_cli.observations import Errored, Ledger, Noted, Summary, Total, Warned
from rt_cli.output.output import make_output
from rt_cli.stream.streamer import Job, Streamer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rt_cli.commands.sources import NamedSource
    from rt_cli.output.output import Output
    from rt_cli.protocol.endpoint import Endpoint
    from rt_cli.settings import Settings

_SIGNALS = {signal.SIGINT: EXIT_INTERRUPTED, signal.SIGTERM: EXIT_TERMINATED}
_LAST_WORDS_S = 0.3


def run(settings: Settings, sources: Sequence[NamedSource]) -> int:
    """Send each source to the endpoint that the settings mean, and return the worst exit code.

    Raises:
        UsageError: Before anything was sent.
    """
    plan: Plan | RtError
    try:
        plan = make_plan(settings, os.environ)
    except UsageError:
        raise
    except RtError as exc:
        plan = exc
    with asyncio.Runner() as runner:
        exit_code = runner.run(_Run(settings, sources, plan).run())
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
    """

    def __init__(self, settings: Settings, sources: Sequence[NamedSource], plan: Plan | RtError) -> None:
        self._settings = settings
        self._sources = sources
        self._plan = plan
        self._streamer: Streamer | None = None
        self._signals: list[int] = []
        self._unread = False
        self._began = 0.0

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        output = make_output(
            self._settings.output,
            many_sources=len(self._sources) > 1,
            on_stdout_closed=partial(_soon, loop, self._hang_up),
            stdout=sys.stdout,
            stderr=sys.stderr,
            environ=os.environ,
            on_printed=self._printed,
        )
        self._listen(loop)
        try:
            exit_code = await self._deliver(output)
        finally:
            printed = await self._close(output) and output.failure is None
            if self._streamer is not None:
                self._streamer.close(printed=printed)
        if output.failure is not None:
            raise UsageError(f"cannot write the results: {output.failure.strerror}", "make room, or write elsewhere")
        return exit_code

    async def _close(self, output: Output) -> bool:
        """Let a slow reader take its time, until a second signal says that it has had enough; False then."""
        while not await asyncio.to_thread(output.close, _LAST_WORDS_S):
            if len(self._signals) > 1:
                return False
        return True

    async def _deliver(self, output: Output) -> int:
        if isinstance(self._plan, RtError):
            return self._refused(self._plan, output)
        async with AsyncExitStack() as stack:
            endpoint = await self._endpoint(self._plan, stack, output)
            summaries = []
            for source in self._sources:
                if self._signals or self._unread:
                    break
                output.set_source(source.name)
                self._streamer = self._streamer_for(source, endpoint, self._plan, output)
                summaries.append(await self._streamer.run())
            if not summaries and self._signals:
                summaries.append(self._untouched(self._sources[0], self._signals[0], output))
            return self._total(summaries, output)

    def _streamer_for(self, source: NamedSource, endpoint: Endpoint, plan: Plan, output: Output) -> Streamer:
        job = Job(
            source.name,
            source.open,
            endpoint,
            plan.turns,
            plan.session,
            self._settings,
            spool=source.spool,
            resume=source.resume,
        )
        return Streamer(job, SystemClock(), output.observe, progress=self._watched())

    async def _endpoint(self, plan: Plan, stack: AsyncExitStack, output: Output) -> Endpoint:
        url = plan.choice.url
        if url is None:
            from rt_cli.local.server import serve

            server = await stack.enter_async_context(serve())
            output.observe(Warned("demo_quality", server.notice))
            url = server.url
        endpoint = endpoint_of(self._settings, plan.choice, plan.key, url)
        output.observe(Noted(f"endpoint: {endpoint.shown} ({plan.choice.reason}), model {endpoint.model}"))
        return endpoint

    def _refused(self, error: RtError, output: Output) -> int:
        """Nothing can be sent anywhere: every source has its summary all the same."""
        output.observe(Errored(error.code, error.message, error.hint))
        return self._total([self._untouched(source, error.exit_code, output) for source in self._sources], output)

    def _untouched(self, source: NamedSource, exit_code: int, output: Output) -> Summary:
        """The summary of a source that was never opened."""
        output.set_source(source.name)
        summary = Summary(
            source=source.name,
            exit=exit_code,
            complete=False,
            rate_hz=24_000,
            ledger=Ledger(captured=0, settled=0, acknowledged=0, in_flight=0, waiting=0, dropped=0, padding=0),
            finals=0,
            reconnects=0,
            wall_ms=self._wall_ms(),
        )
        output.observe(summary)
        return summary

    def _total(self, summaries: list[Summary], output: Output) -> int:
        codes = [summary.exit for summary in summaries]
        if len(summaries) < len(self._sources) and self._signals:
            codes.append(self._signals[0])
        exit_code = EXIT_OK if self._unread else worst_exit(codes)
        if len(self._sources) > 1:
            output.observe(
                Total(
                    exit=exit_code,
                    sources=len(summaries),
                    finals=sum(summary.finals for summary in summaries),
                    failed_sources=sum(summary.exit != EXIT_OK for summary in summaries),
                    captured_ms=sum(_ms(summary, summary.ledger.captured) for summary in summaries),
                    settled_ms=sum(_ms(summary, summary.ledger.settled) for summary in summaries),
                    dropped_ms=sum(_ms(summary, summary.ledger.dropped) for summary in summaries),
                    wall_ms=self._wall_ms(),
                )
            )
        return exit_code

    def _watched(self) -> bool:
        return self._settings.output.status != "off" and not self._settings.output.quiet

    def _wall_ms(self) -> int:
        return round((asyncio.get_running_loop().time() - self._began) * 1000)

    # -- what comes from outside --------------------------------------------------------------------------------------

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take signals; through ``signal.signal``, which exists on every system."""
        for number, exit_code in _SIGNALS.items():
            signal.signal(number, partial(self._on_signal, loop, exit_code))

    def _on_signal(self, loop: asyncio.AbstractEventLoop, exit_code: int, *_frame: object) -> None:
        self._signals.append(exit_code)
        if len(self._signals) > 2:  # noqa: PLR2004 - the third means it
            os._exit(exit_code)
        _soon(loop, partial(self._interrupt, exit_code))

    def _interrupt(self, exit_code: int) -> None:
        if self._streamer is not None:
            self._streamer.interrupt(exit_code)

    def _printed(self, turn: int) -> None:
        if self._streamer is not None:
            self._streamer.printed(turn)

    def _hang_up(self) -> None:
        self._unread = True
        if self._streamer is not None:
            self._streamer.hang_up()


def _soon(loop: asyncio.AbstractEventLoop, act: Callable[[], None]) -> None:
    # A loop that has closed has nothing left to stop.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(act)


def _ms(summary: Summary, samples: int) -> int:
    return samples * 1000 // summary.rate_hz
