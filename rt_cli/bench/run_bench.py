"""One call of ``rt bench``: endpoint, recordings, signals, output lines, report."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from rt_cli.bench import ndjson, table
from rt_cli.bench.conversation import conversation_settings
from rt_cli.bench.level import MEASURES, TALK_MEASURES, Level
from rt_cli.bench.levels import LevelPlan, LoadLevels
from rt_cli.bench.limits import exit_code, parse_limit
from rt_cli.bench.recording import load
from rt_cli.bench.words import compare
from rt_cli.bench.workers.count import choose_count
from rt_cli.bench.workers.job import BenchJob
from rt_cli.bench.workers.pool import open_workers
from rt_cli.clock import SystemClock
from rt_cli.config.values import number_option
from rt_cli.disk.outfile import cannot_write, open_outfile, write_all
from rt_cli.disk.serial_thread import SerialThread
from rt_cli.errors import EXIT_OK, UsageError
from rt_cli.output.line_writer import LineWriter
from rt_cli.output.status.choose import look_of
from rt_cli.protocol.sanitize import masked, printable
from rt_cli.run.interrupts import call_soon
from rt_cli.run.open_endpoint import open_endpoint
from rt_cli.run.plan import make_plan
from rt_cli.settings import auto
from rt_cli.talk.talk_plan import embedded_replier, plan_talk, with_model_of_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import FileIO
    from pathlib import Path

    from rt_cli.bench.level import SessionResult
    from rt_cli.bench.limits import Limit
    from rt_cli.bench.recording import Recording
    from rt_cli.events import Warned
    from rt_cli.output.status.live_table import LiveTable
    from rt_cli.protocol.endpoint.endpoint import Endpoint
    from rt_cli.run.interrupts import Interrupts
    from rt_cli.run.plan import Plan
    from rt_cli.settings import Settings

MOST_SESSIONS = 4096
_REDRAW_INTERVAL_S = 0.5
_LAST_LINES_S = 1.0


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """The options of ``rt bench`` alone, not parsed yet."""

    files: Sequence[str]
    sessions: str
    rounds: int
    spread: str
    limits: Sequence[str]
    references: Sequence[Path]
    html: Path | None
    replace: bool = False
    """Whether an older report may be replaced."""
    talk: bool = False
    """Whether the sessions are conversations."""
    interrupt_at_s: float | None = None
    """Seconds from the first sample of a reply to the next turn of a conversation; None waits for its end."""
    workers: int | None = None
    """Processes; None for one per core."""


@contextmanager
def open_bench(settings: Settings, options: BenchOptions) -> Iterator[Bench]:
    """Check the options and open the report; an empty report is removed at the end.

    Raises:
        RtError: An invalid option or an unusable endpoint, before anything is sent.
    """
    levels = parse_levels(options.sessions)
    limits = [parse_limit(text, talk=options.talk) for text in options.limits]
    spread_s = number_option("--spread", options.spread, low=0)
    references = _references(options)
    if any(limit.name == "wer" for limit in limits) and not references:
        raise UsageError("a limit on wrong words needs the right ones", "give --reference FILE for each recording")
    # A config file may set these. They are for a single source, and for a source without an end.
    settings = replace(
        settings,
        input=replace(settings.input, stop_after_silence_s=None),
        output=replace(settings.output, save_audio=None),
    )
    if options.talk:
        settings = conversation_settings(settings)
    plan = plan_talk(settings, os.environ) if options.talk else make_plan(settings, os.environ)
    report = None if options.html is None else _open_report(options.html, replace=options.replace)
    try:
        yield Bench(settings, options, plan, levels, limits, references, spread_s, report)
    finally:
        if options.html is not None and report is not None:
            _close_report(options.html, report)


def parse_levels(text: str) -> list[int]:
    """Parse ``1,2,4``: numbers in ascending order.

    Raises:
        UsageError: Any other text.
    """
    levels = [int(part) if part.strip().isdecimal() else 0 for part in text.split(",")]
    if levels != sorted(set(levels)) or not 1 <= levels[0] <= levels[-1] <= MOST_SESSIONS:
        raise UsageError(f"--sessions {text}: no such levels", f"as in 1,2,4,8: growing, up to {MOST_SESSIONS}")
    return levels


def _references(options: BenchOptions) -> list[str]:
    if not options.references:
        return []
    if len(options.references) != len(options.files):
        raise UsageError("not as many references as recordings", "give one for each, in their order")
    texts = []
    for path in options.references:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "it is no UTF-8"
            raise UsageError(f"cannot read the reference {printable(str(path))}: {reason}") from None
        compare(text, "")
        texts.append(text)
    return texts


def _open_report(path: Path, *, replace: bool) -> FileIO:
    """Open the report before anything is sent; an older report stays until the new one is written."""
    if find_spec("matplotlib") is None:
        raise UsageError("--html needs matplotlib, which is not installed", "pip install 'rt-cli[bench]'")
    return open_outfile(path, replace=replace, keep=True, hint="name a file in a folder that can be written to")


def _close_report(path: Path, file: FileIO) -> None:
    """Close the report, and remove it if nothing was written into it."""
    with suppress(OSError):
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode) and not status.st_size:
            path.unlink()
        file.close()


class Bench:
    """One call of the command.

    Args:
        settings: Common to all sessions.
        options: The options of ``rt bench`` alone.
        plan: Endpoint, key, session.
        levels: Parallel sessions of each level.
        limits: The limits that each level must keep.
        references: The words of each recording, or empty.
        spread_s: Time over which the first sessions of a level start.
        report: The open file of ``--html``; None without it.
    """

    def __init__(
        self,
        settings: Settings,
        options: BenchOptions,
        plan: Plan,
        levels: Sequence[int],
        limits: Sequence[Limit],
        references: Sequence[str],
        spread_s: float,
        report: FileIO | None = None,
    ) -> None:
        self._settings = settings
        self._options = options
        self._plan = plan
        self._levels = levels
        self._limits = limits
        self._references = references
        self._spread_s = spread_s
        self._report = report
        self._json = settings.output.format == "json"
        self._stdout_closed = False
        self._load_levels: LoadLevels | None = None
        self._live: LiveTable | None = None

    async def run(self, interrupts: Interrupts) -> int:
        """Run all levels, print the results, and return the exit code. Cancelling cancels every session."""
        loop = asyncio.get_running_loop()
        self._out = LineWriter(sys.stdout, on_broken=partial(call_soon, loop, self._on_stdout_closed))
        self._err = LineWriter(sys.stderr, on_broken=_ignore)
        self._look = self._choose_look()
        self._interrupts = interrupts
        interrupts.subscribe(self._interrupt)
        try:
            async with AsyncExitStack() as stack:
                endpoint = await self._endpoint(stack)
                exit_code = await self._measure(endpoint, stack)
        finally:
            if self._live is not None:
                self._live.close()
            await asyncio.to_thread(self._err.close, _LAST_LINES_S)
            await asyncio.to_thread(self._out.close, _LAST_LINES_S)
        self._out.check()
        return exit_code

    def _choose_look(self) -> str:
        look = look_of(self._settings.output, stdout=sys.stdout, stderr=sys.stderr, environ=os.environ)
        # A live table and NDJSON on the same terminal would overwrite each other.
        shared = self._json and sys.stdout is not None and sys.stdout.isatty()
        return "all" if look == "live" and shared else look

    async def _endpoint(self, stack: AsyncExitStack) -> Endpoint:
        talk, plan = self._options.talk, self._plan
        replier = await stack.enter_async_context(embedded_replier(plan, verbatim=False)) if talk else None
        most = max(self._levels)
        endpoint = await open_endpoint(
            self._settings, plan, stack, on_embedded=self._on_embedded, sessions=most, replier=replier
        )
        if talk:
            endpoint = with_model_of_url(endpoint)
        self._print_status(f"endpoint: {endpoint.shown} ({self._plan.choice.reason}), model {endpoint.model}")
        return endpoint

    def _on_embedded(self, warning: Warned, _sessions: int) -> None:
        self._print_status(f"{warning.message}; it runs in this process, whose CPU it shares", "warnings")

    async def _measure(self, endpoint: Endpoint, stack: AsyncExitStack) -> int:
        settings, options = self._settings, self._options
        recordings = await self._recordings(self._plan.session.rate_hz)
        job = BenchJob(
            endpoint,
            self._plan.session,
            settings,
            recordings,
            chunk_ms=settings.input.chunk_ms or auto.LIVE_CHUNK_MS,
            talk=options.talk,
            interrupt_at_s=options.interrupt_at_s,
        )
        plan = LevelPlan(
            levels=self._levels,
            rounds=options.rounds,
            spread_s=self._spread_s,
            limits=self._limits,
            measures=TALK_MEASURES if options.talk else MEASURES,
        )
        self._load_levels = load_levels = await self._open_levels(plan, job, stack)
        if self._interrupts.codes:
            return self._interrupts.codes[0]
        async with asyncio.TaskGroup() as tasks:
            table_task = tasks.create_task(self._update_table(load_levels), name="live table")
            levels = await load_levels.run()
            table_task.cancel()
        return await self._conclude(levels, job)

    async def _open_levels(self, plan: LevelPlan, job: BenchJob, stack: AsyncExitStack) -> LoadLevels:
        """Return the levels, whose sessions run in this process or in several others."""
        clock, cost_limited = SystemClock(), self._settings.delivery.max_cost is not None
        asked, most = self._options.workers, max(self._levels)
        processes = await choose_count(asked, job.endpoint, most, cost_limited=cost_limited)
        if processes == 1:
            return LoadLevels(plan, job.sessions(clock).open, clock, self._on_result)
        self._print_status(f"processes: {processes}")
        pool = await stack.enter_async_context(open_workers(job, processes, clock, self._on_lost))
        return LoadLevels(plan, pool.open, clock, self._on_result, lambda: pool.cpus_s)

    def _on_lost(self, message: str) -> None:
        self._print_status(masked(message), "warnings")

    async def _recordings(self, rate_hz: int) -> list[Recording]:
        def warn(_code: str, message: str) -> None:
            self._print_status(message, "warnings")

        limit_s = self._settings.input.duration_s
        references: Sequence[str | None] = self._references or [None] * len(self._options.files)
        return [
            await load(name, rate_hz, warn, limit_s=limit_s, reference=reference)
            for name, reference in zip(self._options.files, references, strict=True)
        ]

    # -- output -------------------------------------------------------------------------------------------------------

    def _on_result(self, result: SessionResult | Level, level: Level) -> None:
        if isinstance(result, Level):
            self._print_ndjson(ndjson.level_line(result, self._limits))
            if self._look == "all":
                name = "voice_to_voice_p95" if result.talks else "final_p95"
                value = f"{name.replace('_', ' ')} {table.number(name, result.value(name))}"
                self._print_status(f"{result.sessions} at once: {len(result.results)} ended, {value}")
        else:
            self._print_ndjson(ndjson.session_line(result, level))

    def _print_ndjson(self, line: dict[str, Any]) -> None:
        if self._json:
            self._out.write(json.dumps(line))

    def _print_status(self, message: str, level: str = "all") -> None:
        if self._look in ("all", "live") or (level == "warnings" and self._look == "warnings"):
            self._err.write(printable(message))

    async def _update_table(self, load_levels: LoadLevels) -> None:
        """Redraw the live table until cancelled."""
        if self._look != "live" or sys.stderr is None:
            return
        from rt_cli.output.status.live_table import LiveTable

        self._live = LiveTable(sys.stderr)
        self._interrupts.terminal_users.append(self._live)
        while True:
            if load_levels.levels:
                running = f"{load_levels.levels[-1].running} running"
                self._live.show([*table.lines(load_levels.levels, self._limits, running=True), running])
            await asyncio.sleep(_REDRAW_INTERVAL_S)

    async def _conclude(self, levels: Sequence[Level], job: BenchJob) -> int:
        endpoint = job.endpoint
        code = EXIT_OK if self._stdout_closed else next(iter(self._interrupts.codes), exit_code(self._limits, levels))
        if self._live is not None:
            await asyncio.to_thread(self._live.close)
        if self._json:
            self._print_ndjson(
                ndjson.summary_line(
                    levels,
                    self._limits,
                    endpoint=endpoint.shown,
                    model=endpoint.model,
                    exit_code=code,
                    interrupted=bool(self._interrupts.codes),
                )
            )
            for remark in table.remarks(levels):
                self._print_status(remark, "warnings")
        else:
            for line in (*table.lines(levels, self._limits), *table.remarks(levels)):
                self._out.write(printable(line))
            self._out.write(table.conclusion(levels, self._limits))
        if self._report is not None and any(level.results for level in levels):
            from rt_cli.bench.report import ReportData, report

            date = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %z")
            facts = ReportData(
                *(endpoint.shown, endpoint.model, date, job.recordings, job.chunk_ms, self._options.rounds),
                processes=levels[-1].processes,
            )
            await self._write_report(self._report, await asyncio.to_thread(report, levels, self._limits, facts))
        return code

    async def _write_report(self, file: FileIO, html: str) -> None:
        """Write the report. The second interrupt ends the wait for a reader of a FIFO that does not read.

        Raises:
            UsageError: The report cannot be written.
        """
        failures: list[OSError] = []

        def write() -> None:
            try:
                if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    file.truncate(0)
                write_all(file.fileno(), html.encode())
            except OSError as exc:
                failures.append(exc)

        disk = SerialThread("rt-report")
        disk.do(write)
        while not await asyncio.to_thread(disk.close, _LAST_LINES_S):
            if self._interrupts.hurried:
                return
        path = self._options.html
        if failures and path is not None:
            raise cannot_write(path, failures[0], hint="make room, or elsewhere")
        self._print_status(f"report: {path}")

    # -- the end -----------------------------------------------------------------------------------------------------

    def _interrupt(self, code: int) -> None:
        if self._load_levels is not None:
            self._load_levels.interrupt(code)

    def _on_stdout_closed(self) -> None:
        self._stdout_closed = True
        for _ in range(2):
            self._interrupt(EXIT_OK)


def _ignore() -> None:
    """Ignore a broken stderr: the run goes on without status lines."""
