"""The main of a worker process: reads its job and requests from stdin, writes results to stdout, ends when stdin ends.

The end of stdin is also the end of its parent, however that came about: no worker outlives its bench.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from rt_cli.bench.level import MEASURES, TALK_MEASURES
from rt_cli.bench.workers.engine import LoadEngine
from rt_cli.bench.workers.messages import HEADER, Broken, Interrupt, Poll, Start, frame, parse
from rt_cli.clock import SystemClock
from rt_cli.disk.outfile import write_all
from rt_cli.disk.serial_thread import SerialThread

if TYPE_CHECKING:
    from typing import Any

    from rt_cli.bench.workers.job import BenchJob

_LAST_WORDS_S = 1.0


class ResultPipe:
    """Writes results from a thread, so that a slow parent does not delay sessions.

    Args:
        descriptor: Of the pipe to the parent.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._thread = SerialThread("rt-results")

    def send(self, message: object) -> None:
        """Queue a message. Their number is bounded by that of the requests."""
        self._thread.do(partial(self._write, frame(message)))

    def close(self) -> None:
        """Write what is queued."""
        self._thread.close(_LAST_WORDS_S)

    def _write(self, data: bytes) -> None:
        try:
            write_all(self._descriptor, data)
        except OSError:  # the parent is gone
            os._exit(1)


def read(stream: BinaryIO) -> Any:
    """Return the next message of the parent; end the process if there is none."""
    header = stream.read(HEADER.size)
    payload = stream.read(HEADER.unpack(header)[0]) if len(header) == HEADER.size else b""
    if not payload:
        os._exit(0)
    return parse(payload)


async def serve(job: BenchJob, requests: BinaryIO, results: ResultPipe) -> None:
    """Run the sessions that the parent requests. Ends the process at the end of its requests."""
    clock, loop = SystemClock(), asyncio.get_running_loop()
    queue = asyncio.Queue[Start | Interrupt | Poll]()

    def forward() -> None:
        while True:
            loop.call_soon_threadsafe(queue.put_nowait, read(requests))

    threading.Thread(target=forward, name="rt-requests", daemon=True).start()
    measures = TALK_MEASURES if job.talk else MEASURES
    await LoadEngine(job.sessions(clock).open, measures, clock, results.send).run(queue)


def main() -> None:
    """Run as a worker. The signals that end a bench are for the parent, which ends its workers."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    results = ResultPipe(os.dup(1))
    # What a library prints must not come between the results.
    os.dup2(2, 1)
    job: BenchJob = read(sys.stdin.buffer)
    try:
        asyncio.run(serve(job, sys.stdin.buffer, results))
    except ExceptionGroup as group:
        cause = group.exceptions[0]
        results.send(Broken(f"{type(cause).__name__}: {cause}"))
        results.close()
        os._exit(1)


if __name__ == "__main__":
    main()
