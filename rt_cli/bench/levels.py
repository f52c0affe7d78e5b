"""Run level after level, with more parallel sessions each, until a limit is exceeded."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rt_cli.bench.level import MEASURES, Level, tally
from rt_cli.bench.limits import holds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rt_cli.bench.level import SessionResult, Tally
    from rt_cli.bench.limits import Limit
    from rt_cli.clock import Clock

_POLL_INTERVAL_S = 0.25


@dataclass(frozen=True, slots=True)
class Place:
    """Which session of a level a session is."""

    number: int
    """Number among the parallel sessions, from 1."""
    round: int
    """Number within its slot, from 1."""
    level_began: float
    """Start of the level, seconds."""


class BenchSession(Protocol):
    """One measured session."""

    async def run(self) -> SessionResult | None:
        """Run it to its end; return None if it is lost with its process. Cancellation ends it without a result."""
        ...

    def interrupt(self, exit_code: int) -> None:
        """End it: what was said is answered; the second call ends it at once."""
        ...


@dataclass(frozen=True, slots=True)
class LevelPlan:
    """The levels to run, and their parameters."""

    levels: Sequence[int]
    """Parallel sessions of each level, in order."""
    rounds: int
    """Sessions of each slot, one after the other."""
    spread_s: float
    """The first sessions of a level start evenly spread over this time: handshakes do not delay each other."""
    limits: Sequence[Limit]
    measures: Sequence[str] = MEASURES
    """What the sessions measure."""


class LoadLevels:
    """Runs the levels of a plan.

    Args:
        plan: The levels to run.
        open_session: Makes a session, which also adds what it measures to the measures of its level.
        clock: The time.
        on_result: Called with each session and each level when it ends, and with the level that it belongs to.
        cpus_s: Returns the CPU seconds so far of each process of the bench.
    """

    def __init__(
        self,
        plan: LevelPlan,
        open_session: Callable[[Place, Tally], BenchSession],
        clock: Clock,
        on_result: Callable[[SessionResult | Level, Level], None],
        cpus_s: Callable[[], Sequence[float]] = lambda: [time.process_time()],
    ) -> None:
        self.levels: list[Level] = []
        """Levels so far; the last one may be running."""
        self.interrupted = False
        self._plan = plan
        self._open_session = open_session
        self._clock = clock
        self._on_result = on_result
        self._cpus_s = cpus_s
        self._sessions: set[BenchSession] = set()

    async def run(self) -> list[Level]:
        """Run all levels, up to the first that exceeds a limit. Cancelling cancels every session."""
        for sessions in self._plan.levels:
            level = Level(sessions, measures=tally(self._plan.measures))
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
        for session in self._sessions:
            session.interrupt(exit_code)

    async def _run_level(self, level: Level) -> None:
        began, cpus_began = self._clock.now(), self._cpus_s()
        async with asyncio.TaskGroup() as tasks:
            slots = [
                tasks.create_task(self._run_slot(level, number, began), name=f"session {number}")
                for number in range(1, level.sessions + 1)
            ]
            cpu_task = tasks.create_task(self._poll_cpu(level, began, cpus_began), name="cpu")
            await asyncio.wait(slots)
            cpu_task.cancel()
        self._update_cpu(level, began, cpus_began)

    async def _poll_cpu(self, level: Level, began: float, cpus_began: Sequence[float]) -> None:
        while True:
            await self._clock.sleep_until(self._clock.now() + _POLL_INTERVAL_S)
            self._update_cpu(level, began, cpus_began)

    def _update_cpu(self, level: Level, began: float, cpus_began: Sequence[float]) -> None:
        level.wall_s = self._clock.now() - began
        level.cpus_s = [now - before for now, before in zip(self._cpus_s(), cpus_began, strict=True)]

    async def _run_slot(self, level: Level, number: int, began: float) -> None:
        plan = self._plan
        await self._wait_for_start(began + plan.spread_s * (number - 1) / level.sessions)
        for round_ in range(1, plan.rounds + 1):
            if self.interrupted:
                return
            session = self._open_session(Place(number, round_, began), level.measures)
            self._sessions.add(session)
            level.started += 1
            level.running += 1
            try:
                result = await session.run()
            finally:
                self._sessions.discard(session)
                level.running -= 1
            if result is None:
                return  # this level does not hold any more: nobody takes its place
            level.results.append(result)
            self._on_result(result, level)

    async def _wait_for_start(self, start: float) -> None:
        while not self.interrupted and (now := self._clock.now()) < start:
            await self._clock.sleep_until(min(start, now + _POLL_INTERVAL_S))
