"""Level after level: more and more sessions at once, until a limit is passed."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_cli.bench.level import Level
from rt_cli.bench.limits import holds
from rt_cli.bench.recording import Spoken
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

_LOOK_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class LevelPlan:
    """What is to be run."""

    levels: Sequence[int]
    """Sessions at once, one level after the other."""
    rounds: int
    """Recordings that each of them speaks, one after the other, each in a session of its own."""
    spread_s: float
    """The first sessions of a level start evenly within this time, so that nobody measures the crowd at the door."""
    recordings: Sequence[Recording]
    """Taken in turns."""
    limits: Sequence[Limit]
    piece_s: float
    """Of sound, that comes at a time."""


class LoadLevels:
    """Runs a course.

    Args:
        course: What to do.
        make_job: A job for a source, with its stopwatch as its probe.
        clock: The time.
        warn: Told of each session and each level as it ends.
    """

    def __init__(
        self,
        course: LevelPlan,
        make_job: Callable[[Spoken, Stopwatch], Job],
        clock: Clock,
        warn: Callable[[SessionResult | Level, Level], None],
    ) -> None:
        self.levels: list[Level] = []
        """The last one may be running."""
        self.interrupted = False
        self._course = course
        self._make_job = make_job
        self._clock = clock
        self._warn = warn
        self._streamers: set[Streamer] = set()

    async def run(self) -> list[Level]:
        """All levels, up to the first that does not hold. Cancelling it cancels every session."""
        for sessions in self._course.levels:
            level = Level(sessions)
            self.levels.append(level)
            await self._run_level(level)
            level.cut = self.interrupted
            self._warn(level, level)
            if self.interrupted or not holds(self._course.limits, level):
                break
        return self.levels

    def interrupt(self, exit_code: int) -> None:
        """The first time sessions end what they are saying, and no more are begun; the second time all ends now.

        Args:
            exit_code: 130 or 143.
        """
        self.interrupted = True
        for streamer in self._streamers:
            streamer.interrupt(exit_code)

    async def _run_level(self, level: Level) -> None:
        began, cpu_began = self._clock.now(), time.process_time()
        async with asyncio.TaskGroup() as tasks:
            places = [
                tasks.create_task(self._run_place(level, number, began), name=f"session {number}")
                for number in range(1, level.sessions + 1)
            ]
            watching = tasks.create_task(self._watch(level, began, cpu_began), name="cpu")
            await asyncio.wait(places)
            watching.cancel()
        self._take_cpu(level, began, cpu_began)

    async def _watch(self, level: Level, began: float, cpu_began: float) -> None:
        while True:
            await self._clock.sleep_until(self._clock.now() + _LOOK_EVERY_S)
            self._take_cpu(level, began, cpu_began)

    def _take_cpu(self, level: Level, began: float, cpu_began: float) -> None:
        level.wall_s, level.cpu_s = self._clock.now() - began, time.process_time() - cpu_began

    async def _run_place(self, level: Level, number: int, began: float) -> None:
        course = self._course
        await self._turn(began + course.spread_s * (number - 1) / level.sessions)
        for round_ in range(1, course.rounds + 1):
            if self.interrupted:
                return
            recording = course.recordings[(number + round_ - 2) % len(course.recordings)]
            level.running += 1
            result = await self._run_session(level, recording, number=number, round_=round_, began=began)
            level.running -= 1
            level.results.append(result)
            self._warn(result, level)

    async def _turn(self, begins: float) -> None:
        while not self.interrupted and (now := self._clock.now()) < begins:
            await self._clock.sleep_until(min(begins, now + _LOOK_EVERY_S))

    async def _run_session(
        self, level: Level, recording: Recording, *, number: int, round_: int, began: float
    ) -> SessionResult:
        spoken = Spoken(recording, self._clock, max(1, round(self._course.piece_s * recording.rate_hz)))
        watch = Stopwatch(spoken, self._clock, level.measures)
        streamer = Streamer(self._make_job(spoken, watch), self._clock, watch.on_event)
        self._streamers.add(streamer)
        try:
            summary = await streamer.run()
        finally:
            self._streamers.discard(streamer)
        return watch.result(recording, summary, number=number, round_=round_, began=began)


async def opened(spoken: Spoken, _rate_hz: int, _warn: Warn) -> Spoken:
    """The source of a job, which is open already."""
    return spoken
