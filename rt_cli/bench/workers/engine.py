"""Runs sessions on request, and reports what they measure in parts that merge."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from rt_cli.bench.level import take, tally
from rt_cli.bench.levels import Place
from rt_cli.bench.workers.messages import Ended, Interrupt, Measured, Poll, Ready, Start

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rt_cli.bench.level import Tally
    from rt_cli.bench.levels import BenchSession
    from rt_cli.clock import Clock


class LoadEngine:
    """Runs any number of sessions in the loop of its caller.

    Args:
        open_session: Makes a session, which adds what it measures to a tally, too.
        measures: What the sessions measure.
        clock: The time.
        send: Receives :class:`Ready`, :class:`Measured` and :class:`Ended`.
    """

    def __init__(
        self,
        open_session: Callable[[Place, Tally], BenchSession],
        measures: Sequence[str],
        clock: Clock,
        send: Callable[[object], None],
    ) -> None:
        self._open_session = open_session
        self._measures = tally(measures)
        self._clock = clock
        self._send = send
        self._sessions: dict[int, BenchSession] = {}

    async def run(self, requests: asyncio.Queue[Start | Interrupt | Poll]) -> None:
        """Serve requests until cancelled, which cancels every session.

        Raises:
            ExceptionGroup: A session failed otherwise than by its result.
        """
        self._send(Ready())
        async with asyncio.TaskGroup() as tasks:
            while True:
                match await requests.get():
                    case Start() as start:
                        tasks.create_task(self._run_session(start), name=f"session {start.number}")
                    case Interrupt(session, exit_code) if session in self._sessions:
                        self._sessions[session].interrupt(exit_code)
                    case Poll():
                        self._report()

    async def _run_session(self, start: Start) -> None:
        place = Place(start.number, start.round, self._clock.now() - start.since_level_s)
        session = self._sessions[start.session] = self._open_session(place, self._measures)
        try:
            result = await session.run()
        finally:
            del self._sessions[start.session]
        self._report()
        self._send(Ended(start.session, result))

    def _report(self) -> None:
        self._send(Measured(take(self._measures), time.process_time()))
