"""A worker process, seen from its parent."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

from rt_cli.bench.workers.messages import HEADER, Broken, Ended, Interrupt, Measured, Poll, Ready, Start, frame, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.bench.level import SessionResult
    from rt_cli.bench.workers.job import BenchJob

POLL_S = 0.5
"""Seconds between the reports of a worker."""
MOST_UNANSWERED = 60
"""Polls without an answer, after which a worker is killed. Not seconds: a bench that was stopped must not judge."""
_EXIT_S = 2.0


class Worker:
    """Owns a process. Create with :meth:`start`, and end it with :meth:`aclose`.

    Args:
        process: Runs :mod:`rt_cli.bench.workers.main`, with pipes.
        on_report: Receives each report.
        on_end: Called when the process has ended, with its lost sessions and the reason for people.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        on_report: Callable[[Measured], None],
        on_end: Callable[[int, str], None],
    ) -> None:
        assert process.stdin is not None  # noqa: S101 - start() opens the pipe; narrows the type
        assert process.stdout is not None  # noqa: S101 - same
        self._process = process
        self._requests = process.stdin
        self._results = process.stdout
        self._on_report = on_report
        self._on_end = on_end
        self._ids = count(1)
        self._sessions: dict[int, asyncio.Future[SessionResult | None]] = {}
        self._unanswered = 0
        self._reason: str | None = None
        self.cpu_s = 0.0
        """CPU time of the process at its last report."""
        self.ready = asyncio.Event()
        """The process can run sessions, or has ended."""
        self.ended = False
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(POLL_S, self._poll)
        self._reader = loop.create_task(self._read(), name=f"bench worker {process.pid}")

    @classmethod
    async def start(
        cls, job: BenchJob, on_report: Callable[[Measured], None], on_end: Callable[[int, str], None]
    ) -> Worker:
        """Start a process, which is ready later. Cancellation leaves no process behind.

        Raises:
            OSError: The process cannot be started.
        """
        # -P and the path: it imports from where this process does, and nothing from the working directory. In a session
        # of its own the terminal's Ctrl-C does not reach it.
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "rt_cli.bench.workers.main"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,
        )
        worker = cls(process, on_report, on_end)
        worker._send(job)
        return worker

    @property
    def running(self) -> int:
        """Sessions that have begun and not ended."""
        return len(self._sessions)

    def run_session(
        self, number: int, round_: int, since_level_s: float
    ) -> tuple[int, asyncio.Future[SessionResult | None]]:
        """Begin a session.

        Args:
            number: Number among the parallel sessions, from 1.
            round_: Number within its slot, from 1.
            since_level_s: Seconds since the start of the level.

        Returns:
            The id of the session for :meth:`interrupt`, and its result; None if the process ends before it.
        """
        session = next(self._ids)
        result: asyncio.Future[SessionResult | None] = asyncio.get_running_loop().create_future()
        if self.ended:
            result.set_result(None)
        else:
            self._sessions[session] = result
            self._send(Start(session, number, round_, since_level_s))
        return session, result

    def interrupt(self, session: int, exit_code: int) -> None:
        """End a session; the second call ends it at once."""
        self._send(Interrupt(session, exit_code))

    async def aclose(self) -> None:
        """End the process, which ends by itself when its requests end; kill it after two seconds, or if cancelled."""
        self._requests.close()
        try:
            async with asyncio.timeout(_EXIT_S):
                await asyncio.shield(self._reader)
        except TimeoutError:
            pass
        finally:
            if not self.ended:
                self._kill()
            await self._reader

    def _kill(self) -> None:
        with suppress(ProcessLookupError):  # it has already ended
            self._process.kill()

    def _send(self, message: object) -> None:
        # No drain(): what a process does not read is bounded by its sessions, and it is killed in the end.
        if not self._requests.is_closing():
            self._requests.write(frame(message))

    def _poll(self) -> None:
        """Ask for a report, unless the last one is still to come."""
        if not self._unanswered:
            self._send(Poll())
        self._unanswered += 1
        if self._unanswered > MOST_UNANSWERED:
            self._reason = f"no answer for {MOST_UNANSWERED * POLL_S:.0f} s"
            self._kill()
        else:
            self._timer = asyncio.get_running_loop().call_later(POLL_S, self._poll)

    async def _read(self) -> None:
        """Receive messages until the process ends. Its sessions end then, too, without a result."""
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):  # the process has ended
                while True:
                    (length,) = HEADER.unpack(await self._results.readexactly(HEADER.size))
                    self._receive(parse(await self._results.readexactly(length)))
        except BaseException:
            self._kill()
            raise
        finally:
            self._timer.cancel()
            self._requests.close()
            self._close(await self._process.wait())

    def _close(self, code: int) -> None:
        self.ended = True
        self._on_end(len(self._sessions), self._reason or _describe(code))
        for session in list(self._sessions):
            self._finish(session, None)
        self.ready.set()

    def _receive(self, message: object) -> None:
        match message:
            case Ready():
                self.ready.set()
            case Measured(cpu_s=cpu_s):
                self._unanswered = 0
                self.cpu_s = cpu_s
                self._on_report(message)
            case Ended(session, result):
                self._finish(session, result)
            case Broken(reason):
                self._reason = reason

    def _finish(self, session: int, result: SessionResult | None) -> None:
        future = self._sessions.pop(session)
        if not future.done():  # cancelled
            future.set_result(result)


def _describe(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"
