"""Run level after level, with more parallel sessions each, until a limit is exceeded."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_cli.bench.level import Level
from rt_cli.bench.limits import holds
from rt_cli.bench.recording import RecordingSource
from rt_cli.bench.stopwatch import Stopwatch
from rt_cli.streaming.streamer import Streamer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rt_cli.audio.source import Warn
    from rt_cli.bench.level import SessionResult
    from rt_cli.bench.limits import Limit
    from rt_cli.bench.recording import Recording
    from rt_cli.clock import Clock
    from rt_cli.streaming.job import Job

_POLL_INTERVAL_S = 0.25


@dataclass(frozen=True, slots=True)
class LevelPlan:
    """The levels to run, and their parameters."""

    levels: Sequence[int]
    """Parallel sessions of each level, in order."""
    rounds: int
    """Recordings that each slot sends one after the other, each in its own session."""
    spread_s: float
    """The first sessions of a level start evenly spread over this time: handshakes do not delay each other."""
    recordings: Sequence[Recording]
    """Assigned to the sessions in rotation."""
    limits: Sequence[Limit]
    piece_s: float
    """Length of the blocks of the source, seconds."""


class LoadLevels:
    """Runs the levels of a plan.

    Args:
        plan: The levels to run.
        make_job: Makes the job of a source, with the stopwatch as its measure hooks.
        clock: The time.
        on_result: Called with each session and each level when it ends, and with the level that it belongs to.
    """

    def __init__(
        self,
        plan: LevelPlan,
        make_job: Callable[[RecordingSource, Stopwatch], Job],
        clock: Clock,
        on_result: Callable[[SessionResult | Level, Level], None],
    ) -> None:
        self.levels: list[Level] = []
        """Levels so far; the last one may be running."""
        self.interrupted = False
        self._plan = plan
        self._make_job = make_job
        self._clock = clock
        self._on_result = on_result
        self._streamers: set[Streamer] = set()

    async def run(self) -> list[Level]:
        """Run all levels, up to the first that exceeds a limit. Cancelling cancels every session."""
        for sessions in self._plan.levels:
            level = Level(sessions)
            self.levels.append(level)
            await self._run_level(level)
            level.interrupted = self.interrupted
            self._on_result(level, level)
            if self.interrupted or not holds(self._plan.limits, level):
                break
        return self.levels

    def interrupt(self, exit_code: int) -> None:
        """Interrupt all sessions. The first call drains them and starts no more; the second call ends them at once.

        Args:
            exit_code: 130 or 143.
        """
        self.interrupted = True
        for streamer in self._streamers:
            streamer.interrupt(exit_code)

    async def _run_level(self, level: Level) -> None:
        began, cpu_began = self._clock.now(), time.process_time()
        async with asyncio.TaskGroup() as tasks:
            slots = [
                tasks.create_task(self._run_slot(level, number, began), name=f"session {number}")
                for number in range(1, level.sessions + 1)
            ]
            cpu_task = tasks.create_task(self._poll_cpu(level, began, cpu_began), name="cpu")
            await asyncio.wait(slots)
            cpu_task.cancel()
        self._update_cpu(level, began, cpu_began)

    async def _poll_cpu(self, level: Level, began: float, cpu_began: float) -> None:
        while True:
            await self._clock.sleep_until(self._clock.now() + _POLL_INTERVAL_S)
            self._update_cpu(level, began, cpu_began)

    def _update_cpu(self, level: Level, began: float, cpu_began: float) -> None:
        level.wall_s, level.cpu_s = self._clock.now() - began, time.process_time() - cpu_began

    async def _run_slot(self, level: Level, number: int, began: float) -> None:
        plan = self._plan
        await self._wait_for_start(began + plan.spread_s * (number - 1) / level.sessions)
        for round_ in range(1, plan.rounds + 1):
            if self.interrupted:
                return
            recording = plan.recordings[(number + round_ - 2) % len(plan.recordings)]
            level.running += 1
            result = await self._run_session(level, recording, number=number, round_=round_, began=began)
            level.running -= 1
            level.results.append(result)
            self._on_result(result, level)

    async def _wait_for_start(self, start: float) -> None:
        while not self.interrupted and (now := self._clock.now()) < start:
            await self._clock.sleep_until(min(start, now + _POLL_INTERVAL_S))

    async def _run_session(
        self, level: Level, recording: Recording, *, number: int, round_: int, began: float
    ) -> SessionResult:
        source = RecordingSource(recording, self._clock, max(1, round(self._plan.piece_s * recording.rate_hz)))
        stopwatch = Stopwatch(source, self._clock, level.measures)
        streamer = Streamer(self._make_job(source, stopwatch), self._clock, stopwatch.on_event)
        self._streamers.add(streamer)
        try:
            summary = await streamer.run()
        finally:
            self._streamers.discard(streamer)
        return stopwatch.result(recording, summary, number=number, round_=round_, began=began)


async def open_source(source: RecordingSource, _rate_hz: int, _warn: Warn) -> RecordingSource:
    """Return the source of a job, which is open already."""
    return source
