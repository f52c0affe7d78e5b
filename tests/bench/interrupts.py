"""Ctrl-C at random moments of ``rt stream -``: ``python -m tests.bench.interrupts [100]``.

Sound comes in as fast as it lasts, the endpoint has a final for whatever is committed. The moment is up to two
seconds after the first line on stderr: while it connects, configures, or streams. Counted are the exit codes, the runs
that heard sound and printed no final, and how long it took from the signal to the end of the process.
"""

from __future__ import annotations

import random
import signal
import statistics
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from tests.bench.measure import table
from tests.program import ended, start
from tests.servers import polite, scripted

CHUNK = bytes(4_800)
CHUNK_S = 0.1


@dataclass(frozen=True)
class Interrupted:
    """The end of a run."""

    exit: int
    took_s: float
    captured_ms: int
    finals: int
    complete: bool


def interrupt(seed: int) -> Interrupted:
    """Interrupt a run at a random moment from the seed."""
    moment_s = random.Random(seed).uniform(0, 2)
    over = threading.Event()
    with scripted(polite("hello")) as server:
        process = start(*("stream", "--url", server.url, "-m", "gpt-4o-transcribe", "--json", "-"), stdin=-1)
        pipe, errors = process.stdin, process.stderr
        assert pipe is not None
        assert errors is not None

        def feed() -> None:
            with suppress(BrokenPipeError):
                while not over.wait(CHUNK_S):
                    pipe.write(CHUNK)
                    pipe.flush()

        feeder = threading.Thread(target=feed)
        feeder.start()
        try:
            errors.readline()
            time.sleep(moment_s)  # a random moment, from the seed
            process.send_signal(signal.SIGINT)
            began = time.monotonic()
            process.wait(30)
            took_s = time.monotonic() - began
        finally:
            over.set()
            feeder.join()
            process.kill()
        with suppress(BrokenPipeError):
            pipe.close()
        process.stdin = None
        ran = ended(process)
    summary = ran.summary
    return Interrupted(ran.exit, took_s, summary["captured_ms"], len(ran.of("final")), summary["complete"])


def main() -> None:
    """Interrupt this many runs, two at a time, and print the results."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with ThreadPoolExecutor(2) as several:
        runs = list(several.map(interrupt, range(count)))
    heard = [run for run in runs if run.captured_ms]
    times = sorted(run.took_s for run in runs)
    table(
        ("runs", "exit codes", "heard sound", "of them with a final", "incomplete", "to exit: p50 s", "p95 s", "max s"),
        [
            (
                count,
                ", ".join(f"{code}: {number}x" for code, number in sorted(Counter(run.exit for run in runs).items())),
                len(heard),
                sum(run.finals > 0 for run in heard),
                sum(not run.complete for run in runs),
                statistics.median(times),
                times[int(0.95 * (count - 1))],
                times[-1],
            )
        ],
    )


if __name__ == "__main__":
    main()
