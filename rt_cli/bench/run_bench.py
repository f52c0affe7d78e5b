"""From what ``rt bench`` was given to its results: endpoint, recordings, signals, lines, report."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from rt_cli.bench import ndjson, table
from rt_cli.bench.level import Level
from rt_cli.bench.levels import LevelPlan, LoadLevels, opened
from rt_cli.bench.limits import exit_code, parse_limit
from rt_cli.bench.recording import load
from rt_cli.bench.words import compare
from rt_cli.clock import SystemClock
from rt_cli.config.values import convert, settings_keys
from rt_cli.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_TERMINATED, UsageError
from rt_cli.output.line_writer import LineWriter
from rt_cli.output.status.choose import choose_look
from rt_cli.protocol.sanitize import printable
from rt_cli.run.plan import endpoint_of, make_plan
from rt_cli.streaming.cost import bill_of
from rt_cli.streaming.job import Job

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rt_cli.bench.level import SessionResult
    from rt_cli.bench.limits import Limit
    from rt_cli.bench.recording import Recording, Spoken
    from rt_cli.bench.stopwatch import Stopwatch
    from rt_cli.output.status.live_table import LiveTable
    from rt_cli.protocol.endpoint.endpoint import Endpoint
    from rt_cli.run.plan import Plan
    from rt_cli.settings import Settings

MOST_SESSIONS = 4096
_CHUNK_MS = 40
_LOOK_EVERY_S = 0.5
_LAST_LINES_S = 1.0
_SIGNALS = {signal.SIGINT: EXIT_INTERRUPTED, signal.SIGTERM: EXIT_TERMINATED}


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """The command's own options, as they were given."""

    files: Sequence[str]
    sessions: str
    rounds: int
    spread: str
    limits: Sequence[str]
    references: Sequence[Path]
    html: Path | None


def run_bench(settings: Settings, wanted: BenchOptions) -> int:
    """Measure, print, and return the exit code.

    Raises:
        RtError: Before anything was sent.
    """
    levels = parse_levels(wanted.sessions)
    limits = [parse_limit(text) for text in wanted.limits]
    spread_s = _seconds("--spread", wanted.spread)
    references = _references(wanted)
    if any(limit.name == "wer" for limit in limits) and not references:
        raise UsageError("a limit on wrong words needs the right ones", "give --reference FILE for each recording")
    if wanted.html is not None:
        _check_report(wanted.html)
    # A config file may say these; they are for one source at a time, and for one that has no end.
    settings = replace(
        settings,
        input=replace(settings.input, stop_after_silence_s=None),
        output=replace(settings.output, save_audio=None),
    )
    plan = make_plan(settings, os.environ)
    return asyncio.run(_Bench(settings, wanted, plan, levels, limits, references, spread_s).run())


def parse_levels(text: str) -> list[int]:
    """``1,2,4``: each more than the one before.

    Raises:
        UsageError: Anything else.
    """
    levels = [int(part) if part.strip().isdecimal() else 0 for part in text.split(",")]
    if levels != sorted(set(levels)) or not 1 <= levels[0] <= levels[-1] <= MOST_SESSIONS:
        raise UsageError(f"--sessions {text}: no such levels", f"as in 1,2,4,8: growing, up to {MOST_SESSIONS}")
    return levels


def _seconds(option: str, text: str) -> float:
    try:
        # Any key of seconds from 0 on will do: they are all written alike.
        return float(str(convert(settings_keys()["retry_for"], text)))
    except ValueError as exc:
        raise UsageError(f"{option} {text}: must {exc}") from None


def _references(wanted: BenchOptions) -> list[str]:
    if not wanted.references:
        return []
    if len(wanted.references) != len(wanted.files):
        raise UsageError("not as many references as recordings", "give one for each, in their order")
    texts = []
    for path in wanted.references:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "it is no UTF-8"
            raise UsageError(f"cannot read the reference {printable(str(path))}: {reason}") from None
        compare(text, "")
        texts.append(text)
    return texts


def _check_report(path: Path) -> None:
    if find_spec("matplotlib") is None:
        raise UsageError("--html needs matplotlib, which is not installed", "pip install 'rt-cli[bench]'")
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise UsageError(f"cannot write {printable(str(path))}", "name a file in a folder that can be written to")


class _Bench:
    """One call of the command.

    Args:
        settings: Of all sessions.
        wanted: The command's own options.
        plan: Endpoint, key, session.
        levels: Sessions at once.
        limits: To keep to.
        references: The words of each recording, or nothing.
        spread_s: In which the sessions of a level start.
    """

    def __init__(
        self,
        settings: Settings,
        wanted: BenchOptions,
        plan: Plan,
        levels: Sequence[int],
        limits: Sequence[Limit],
        references: Sequence[str],
        spread_s: float,
    ) -> None:
        self._settings = settings
        self._wanted = wanted
        self._plan = plan
        self._levels = levels
        self._limits = limits
        self._references = references
        self._spread_s = spread_s
        self._json = settings.output.format == "json"
        self._bill = bill_of(settings)
        self._signals: list[int] = []
        self._unread = False
        self._ramp: LoadLevels | None = None
        self._live: LiveTable | None = None

    async def run(self) -> int:
        """Do it. Cancelling it cancels every session."""
        loop = asyncio.get_running_loop()
        self._out = LineWriter(sys.stdout, on_broken=partial(_soon, loop, self._hang_up))
        self._err = LineWriter(sys.stderr, on_broken=_ignore)
        self._look = self._choose_look()
        for number, code in _SIGNALS.items():
            signal.signal(number, partial(self._on_signal, loop, code))
        try:
            async with AsyncExitStack() as stack:
                endpoint = await self._endpoint(stack)
                exit_code = await self._measure(endpoint)
        finally:
            if self._live is not None:
                self._live.close()
            await asyncio.to_thread(self._err.close, _LAST_LINES_S)
            await asyncio.to_thread(self._out.close, _LAST_LINES_S)
        self._out.check()
        return exit_code

    def _choose_look(self) -> str:
        output = self._settings.output
        terminal = sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()
        look = choose_look(output.status, quiet=output.quiet, is_terminal=terminal, environ=os.environ)
        # Lines of NDJSON would fall into the table where both go to the same terminal.
        shared = self._json and sys.stdout is not None and sys.stdout.isatty()
        return "all" if look == "live" and shared else look

    async def _endpoint(self, stack: AsyncExitStack) -> Endpoint:
        url = self._plan.choice.url
        if url is None:
            from rt_cli.server.access.limits import Limits
            from rt_cli.server.server import serve

            server = await stack.enter_async_context(serve(limits=Limits(sessions=max(self._levels))))
            self._say(f"{server.notice}; it runs in this process, whose CPU it shares", "warnings")
            url = server.url
        endpoint = endpoint_of(self._settings, self._plan.choice, self._plan.key, url)
        self._say(f"endpoint: {endpoint.shown} ({self._plan.choice.reason}), model {endpoint.model}")
        return endpoint

    async def _measure(self, endpoint: Endpoint) -> int:
        recordings = await self._recordings(endpoint.dialect.rate_hz)
        chunk_ms = self._settings.input.chunk_ms or _CHUNK_MS
        course = LevelPlan(
            levels=self._levels,
            rounds=self._wanted.rounds,
            spread_s=self._spread_s,
            recordings=recordings,
            limits=self._limits,
            piece_s=chunk_ms / 1000,
        )
        self._ramp = ramp = LoadLevels(course, partial(self._job, endpoint), SystemClock(), self._tell)
        if self._signals:
            return self._signals[0]
        async with asyncio.TaskGroup() as tasks:
            showing = tasks.create_task(self._show(ramp), name="live table")
            levels = await ramp.run()
            showing.cancel()
        return await self._conclude(endpoint, levels, recordings, chunk_ms)

    async def _recordings(self, rate_hz: int) -> list[Recording]:
        def warn(_code: str, message: str) -> None:
            self._say(message, "warnings")

        limit_s = self._settings.input.duration_s
        references: Sequence[str | None] = self._references or [None] * len(self._wanted.files)
        return [
            await load(name, rate_hz, warn, limit_s=limit_s, reference=reference)
            for name, reference in zip(self._wanted.files, references, strict=True)
        ]

    def _job(self, endpoint: Endpoint, spoken: Spoken, watch: Stopwatch) -> Job:
        return Job(
            spoken.info.name,
            partial(opened, spoken),
            endpoint,
            self._plan.turns,
            self._plan.session,
            self._settings,
            bill=self._bill,
            probe=watch,
        )

    # -- what is told -------------------------------------------------------------------------------------------------

    def _tell(self, ended: SessionResult | Level, level: Level) -> None:
        if isinstance(ended, Level):
            self._print(ndjson.level_line(ended, self._limits))
            if self._look == "all":
                final = table.number("final_p95", ended.value("final_p95"))
                self._say(f"{ended.sessions} at once: {len(ended.results)} ended, final p95 {final}")
        else:
            self._print(ndjson.session_line(ended, level))

    def _print(self, line: dict[str, Any]) -> None:
        if self._json:
            self._out.write(json.dumps(line))

    def _say(self, message: str, level: str = "all") -> None:
        if self._look in ("all", "live") or (level == "warnings" and self._look == "warnings"):
            self._err.write(printable(message))

    async def _show(self, ramp: LoadLevels) -> None:
        """Redraw the live table until cancelled."""
        if self._look != "live" or sys.stderr is None:
            return
        from rt_cli.output.status.live_table import LiveTable

        self._live = LiveTable(sys.stderr)
        while True:
            if ramp.levels:
                running = f"{ramp.levels[-1].running} running"
                self._live.show([*table.lines(ramp.levels, self._limits, running=True), running])
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _conclude(
        self, endpoint: Endpoint, levels: Sequence[Level], recordings: Sequence[Recording], chunk_ms: int
    ) -> int:
        code = EXIT_OK if self._unread else next(iter(self._signals), exit_code(self._limits, levels))
        if self._live is not None:
            await asyncio.to_thread(self._live.close)
        if self._json:
            self._print(
                ndjson.summary_line(
                    levels,
                    self._limits,
                    endpoint=endpoint.shown,
                    model=endpoint.model,
                    exit_code=code,
                    interrupted=bool(self._signals),
                )
            )
            for remark in table.remarks(levels):
                self._say(remark, "warnings")
        else:
            for line in (*table.lines(levels, self._limits), *table.remarks(levels)):
                self._out.write(printable(line))
            self._out.write(table.verdict(levels, self._limits))
        if self._wanted.html is not None and any(level.results for level in levels):
            await asyncio.to_thread(self._report, self._wanted.html, endpoint, levels, recordings, chunk_ms)
        return code

    def _report(
        self, path: Path, endpoint: Endpoint, levels: Sequence[Level], recordings: Sequence[Recording], chunk_ms: int
    ) -> None:
        from rt_cli.bench.report import ReportData, report

        date = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %z")
        facts = ReportData(endpoint.shown, endpoint.model, date, recordings, chunk_ms, self._wanted.rounds)
        try:
            path.write_text(report(levels, self._limits, facts), encoding="utf-8")
        except OSError as exc:
            raise UsageError(
                f"cannot write {printable(str(path))}: {exc.strerror}", "make room, or elsewhere"
            ) from None
        self._say(f"report: {path}")

    # -- what comes from outside --------------------------------------------------------------------------------------

    def _on_signal(self, loop: asyncio.AbstractEventLoop, code: int, *_frame: object) -> None:
        self._signals.append(code)
        if len(self._signals) > 2:  # noqa: PLR2004 - the third means it
            os._exit(code)
        _soon(loop, partial(self._interrupt, code))

    def _interrupt(self, code: int) -> None:
        if self._ramp is not None:
            self._ramp.interrupt(code)

    def _hang_up(self) -> None:
        self._unread = True
        for _ in range(2):
            self._interrupt(EXIT_OK)


def _soon(loop: asyncio.AbstractEventLoop, act: Any) -> None:
    # A loop that has closed has nothing left to stop.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(act)


def _ignore() -> None:
    """Let a broken stderr be: status goes silent and the run goes on."""
