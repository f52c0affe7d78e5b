"""Sessions per core: ``python tests/bench/sessions.py [--sessions 40 80] [--seconds 8] [--rounds 3] [--chunk-ms 20]``.

So many sessions in one process, each a file in real time. Lateness is from when a chunk was due to
when it was written, against the most punctual of its session. Since other work on the machine spoils that, sessions per
core are derived as well: 85 % of a core over what a session takes.
Memory is what the process grew by for each of its sessions, the code that they load and
the sound of a turn that is not over included.
``--client NAME`` is one run, in this process.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.measure import environment, median, sink, table

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rt_cli.audio.source import Block
    from tests.bench.measure import Headroom

RATE_HZ, CHUNK_MS = 24_000, 20
STAGGER_S = 0.0524
"""Between the starts of two sessions: their chunks are due at moments spread over the chunk, as those of users are."""
WARM_S = 4.0
"""Warm-up: the first seconds, which contain the handshakes, do not count."""
_BUSY = 0.85


class Lateness:
    """Lateness of the chunks of a session, in seconds, after the warm-up, relative to its most punctual chunk."""

    def __init__(self, counts_from: float) -> None:
        self._offsets: list[float] = []
        self._counts_from = counts_from

    def add(self, due: float) -> None:
        """Record that a chunk with this due time is written."""
        now = time.monotonic()
        if due >= self._counts_from:
            self._offsets.append(now - due)

    @property
    def seconds(self) -> list[float]:
        """Return the lateness of each chunk; only the client knows the start of its session."""
        best = min(self._offsets)
        return [offset - best for offset in self._offsets]


async def naive_session(url: str, began: float, seconds: float, late: Lateness, chunk_ms: int) -> None:
    """``websockets``, ``json`` and ``base64``."""
    from websockets.asyncio.client import connect

    from tests.bench.peers import SESSION

    pcm = bytes(RATE_HZ * chunk_ms // 1000 * 2)
    async with connect(url, compression=None) as websocket:
        await websocket.send(json.dumps({"type": "session.update", "session": SESSION}))
        for number in range(1, int(seconds * 1000 / chunk_ms) + 1):
            due = began + number * chunk_ms / 1000
            await asyncio.sleep(due - time.monotonic())
            audio = base64.b64encode(pcm).decode()
            await websocket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
            late.add(due)


class Silence:
    """A source with all its sound available."""

    def __init__(self, seconds: float) -> None:
        from rt_cli.audio.source import SourceInfo

        self.info = SourceInfo("silence", "file", False, RATE_HZ, 1, seconds)
        self._seconds = seconds

    async def blocks(self) -> AsyncIterator[Block]:
        """Two seconds at a time."""
        from rt_cli.audio.source import Block

        for _ in range(int(self._seconds / 2)):
            yield Block(bytes(RATE_HZ * 2 * 2))

    def stop(self) -> None:
        """Do nothing."""

    async def aclose(self) -> None:
        """Do nothing."""


class Writes:
    """Measure hooks: record when a streamer writes each chunk."""

    def __init__(self, began: float, late: Lateness) -> None:
        self._began = began
        self._late = late

    def opened(self) -> None:
        """Of no interest."""

    def sent(self, end: int) -> None:
        """A chunk is written."""
        self._late.add(self._began + end / RATE_HZ)

    def round_trip(self, seconds: float) -> None:
        """Of no interest."""

    def heard_at(self, position: int) -> float | None:
        """When it was due."""
        return self._began + position / RATE_HZ


async def rt_session(url: str, seconds: float, late: Lateness, chunk_ms: int) -> None:
    """Run a streamer, as ``rt send -j N`` runs many."""
    from rt_cli.clock import SystemClock
    from rt_cli.protocol.endpoint.endpoint import resolve
    from rt_cli.settings import DeliverySettings, EndpointSettings, InputSettings, SessionSettings, Settings
    from rt_cli.streaming.job import Job
    from rt_cli.streaming.streamer import Streamer

    chosen = Settings(
        input=InputSettings(chunk_ms=chunk_ms), delivery=DeliverySettings(speed=1.0), session=SessionSettings()
    )
    endpoint = resolve(EndpointSettings(url=url, model="whisper-1"), url, None)
    session = endpoint.dialect.request(chosen.session, endpoint.model, "server_vad", embedded=False)

    async def opened(*_: object) -> Silence:
        return Silence(seconds)

    probe = Writes(time.monotonic(), late)
    job = Job("silence", opened, endpoint, session, chosen, probe=probe)
    await Streamer(job, SystemClock(), lambda _observation: None).run()


async def many(client: str, url: str, count: int, seconds: float, chunk_ms: int) -> None:
    """Run all sessions, started one after the other; print lateness (p99, ms) and CPU (s per second of a session)."""
    began = time.monotonic()
    warm_s = WARM_S + count * STAGGER_S
    lates = [Lateness(began + warm_s) for _ in range(count)]
    total_s = warm_s + seconds
    marks: list[tuple[float, float]] = []

    async def one(number: int) -> None:
        await asyncio.sleep(number * STAGGER_S)
        if client == "naive":
            await naive_session(url, time.monotonic(), total_s, lates[number], chunk_ms)
        else:
            await rt_session(url, total_s, lates[number], chunk_ms)

    memory = [resident_mib()]

    async def clock() -> None:
        for moment in (warm_s, warm_s + seconds):
            await asyncio.sleep(began + moment - time.monotonic())
            marks.append((time.monotonic(), time.process_time()))
        memory.append(resident_mib())

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(clock())
        for number in range(count):
            tasks.create_task(one(number))
    (from_s, from_cpu), (to_s, to_cpu) = marks
    share = (to_cpu - from_cpu) / (to_s - from_s)
    print(
        json.dumps(
            {
                "p99_ms": statistics.quantiles([each for late in lates for each in late.seconds], n=100)[98] * 1000,
                "cpu": share,
                "per": share / count,
                "mib": (memory[1] - memory[0]) / count,
            }
        )
    )


def resident_mib() -> float:
    """Return the resident memory of this process."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


def one_run(client: str, count: int, seconds: float, chunk_ms: int) -> tuple[dict[str, float], Headroom]:
    """Run the measurement in its own process; return its figures, and how the sink was."""
    with sink() as endpoint:
        command = [sys.executable, __file__, "--client", client, "--url", endpoint.url]
        command += ["--sessions", str(count), "--seconds", str(seconds), "--chunk-ms", str(chunk_ms)]
        endpoint.mark()
        result: dict[str, float] = json.loads(
            subprocess.run(command, check=True, capture_output=True, text=True, env=environment()).stdout
        )
        return result, endpoint.mark()


def measure(rounds: int, sessions: list[int] | None = None, seconds: float = 8, chunk_ms: int = CHUNK_MS) -> None:
    """Run all measurements and print the table."""
    sessions = sessions or [40, 80]
    found = defaultdict(list)
    for _ in range(rounds):
        for count in sessions:
            for client in ("naive", "rt"):
                found[client, count].append(one_run(client, count, seconds, chunk_ms))
    print(f"\nsessions in one process, {chunk_ms} ms a message ({rounds} rounds, medians)\n")
    table(
        (
            *("client", "sessions", "late p99 ms", "CPU, part of a core", "CPU ms per s of a session"),
            *("of the naive", "sessions per core", "MiB a session", "the sink"),
        ),
        [(client, count, *_row(runs, found["naive", count])) for (client, count), runs in sorted(found.items())],
    )


def _row(runs: list[tuple[dict[str, float], Headroom]], naive: list[tuple[dict[str, float], Headroom]]) -> list[object]:
    worst = max((headroom for _, headroom in runs), key=lambda headroom: headroom.late_p99_ms)
    refused = any(headroom.starved or headroom.late for _, headroom in runs)
    late_ms, cpu, per, mib = (median([run[key] for run, _ in runs]) for key in ("p99_ms", "cpu", "per", "mib"))
    ratio = median([run["per"] / other["per"] for (run, _), (other, _) in zip(runs, naive, strict=True)])
    return ["refused" if refused else late_ms, cpu, per * 1000, ratio, round(_BUSY / per), mib, worst]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", choices=("naive", "rt"))
    parser.add_argument("--url")
    parser.add_argument("--sessions", type=int, nargs="+", default=[40, 80])
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--chunk-ms", type=int, default=CHUNK_MS)
    options = parser.parse_args()
    if options.client:
        asyncio.run(many(options.client, options.url, options.sessions[0], options.seconds, options.chunk_ms))
    else:
        measure(options.rounds, options.sessions, options.seconds, options.chunk_ms)
