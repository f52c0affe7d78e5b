"""The end of ``rt stream -`` at random moments: ``python -m tests.bench.interrupts [100]``.

Sound comes in as fast as it lasts, and the endpoint has a numbered final for whatever is committed. The run ends by
Ctrl-C to its group, by ``timeout`` (which signals the process and its group), or by Ctrl-C to a pipe into ``tee``,
which dies of it. A final is written, or said on stderr, or lost.
"""

from __future__ import annotations

import os
import random
import re
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tests.bench.measure import table
from tests.program import ROOT, RT
from tests.servers import scripted

if TYPE_CHECKING:
    from tests.servers import Client

CHUNK = bytes(range(1, 241)) * 20
CHUNK_S = 0.1
DEADLINE_S = 30
WAYS = ("ctrl-c", "timeout INT", "timeout TERM", "tee and ctrl-c")


@dataclass(frozen=True)
class Interrupted:
    """The end of a run."""

    took_s: float
    sent: set[str]
    """Finals that the endpoint sent."""
    written: set[str]
    """Finals that the reader of stdout has."""
    said: set[str]
    """Finals that stderr has."""
    exit: int


class Numbers:
    """Answers each commit with a number of its own."""

    def __init__(self) -> None:
        self.sent: set[str] = set()

    async def __call__(self, client: Client) -> None:
        """Converse."""
        await client.greet()
        while True:
            await client.until("input_audio_buffer.commit")
            text = f"number{len(self.sent) + 1}"
            item = await client.commit()
            self.sent.add(text)
            await client.complete(item, text)


def interrupt(way: str, seed: int) -> Interrupted:
    """Interrupt a run at a random moment from the seed."""
    moment_s = random.Random(seed).uniform(0.5, 3)
    numbers, over = Numbers(), threading.Event()
    with tempfile.TemporaryDirectory() as folder, scripted(numbers) as server:
        words, errors, code = (Path(folder) / name for name in ("words", "errors", "code"))
        command = shlex.join([*RT, "stream", "--url", server.url, "-m", "gpt-4o-transcribe", "-"])
        if way.startswith("timeout"):
            command = f"timeout -s {way.split()[1]} {moment_s:.2f} {command}"
        reader = f"| tee {words} >/dev/null" if way.startswith("tee") else f">{words}"
        process = subprocess.Popen(
            ["sh", "-c", f"trap : INT TERM; {{ trap : INT TERM; {command} 2>{errors}; echo $? >{code}; }} {reader}"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdin is not None
        feeder = threading.Thread(target=_feed, args=(process.stdin, over))
        feeder.start()
        try:
            if not way.startswith("timeout"):
                time.sleep(moment_s)  # a random moment, from the seed
                os.killpg(process.pid, signal.SIGINT)
            began = time.monotonic()
            process.wait(DEADLINE_S)
            took_s = time.monotonic() - began
        finally:
            over.set()
            feeder.join()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        found = [set(re.findall(r"number\d+", path.read_text())) for path in (words, errors)]
        return Interrupted(took_s, numbers.sent, *found, int(code.read_text()))


def _feed(pipe: IO[bytes], over: threading.Event) -> None:
    with suppress(BrokenPipeError):
        while not over.wait(CHUNK_S):
            pipe.write(CHUNK)
            pipe.flush()
    with suppress(BrokenPipeError):
        pipe.close()


def _row(way: str, runs: list[Interrupted]) -> tuple[object, ...]:
    times = sorted(run.took_s for run in runs)
    sent = sum(len(run.sent) for run in runs)
    return (
        way,
        len(runs),
        ", ".join(f"{code}: {number}x" for code, number in sorted(Counter(run.exit for run in runs).items())),
        sum(bool(run.sent) for run in runs),
        sent,
        sum(len(run.written) for run in runs),
        sum(len(run.said - run.written) for run in runs),
        sum(len(run.sent - run.written - run.said) for run in runs),
        statistics.median(times),
        times[-1],
    )


def main() -> None:
    """Interrupt this many runs in each way, two at a time, and print the results."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    rows = []
    for way in WAYS:
        with ThreadPoolExecutor(2) as several:
            rows.append(_row(way, list(several.map(lambda seed, way=way: interrupt(way, seed), range(count)))))
    names = ("runs", "exit codes", "with finals", "finals", "written", "said", "lost", "to exit: p50 s", "max s")
    table(("way", *names), rows)


if __name__ == "__main__":
    main()
