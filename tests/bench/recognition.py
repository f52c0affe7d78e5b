"""Sessions that share the recogniser: how long after the last sound of a turn its words are there.

``python tests/bench/recognition.py [--workers 1 2] [--sessions 1 2 4 6 8] [--turns 4]
[--no-flood]``. Every session speaks at the
speed of speech, turn after turn, through a pool of its own process tree; the first turn, in which decoders are loaded,
does not count. Then one session beside another that sends ten minutes of sound as fast as it is taken.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import wave
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[2]))

from rt_cli.server.recognition.pocketsphinx.recognizer import Pocketsphinx
from tests.bench.measure import DATA, table

if TYPE_CHECKING:
    from rt_cli.server.recognition.interface import RecognizerSession

RATE_HZ = 16_000
PIECE = RATE_HZ // 10 * 2
PAUSE_S = 0.5
FLOOD_S = 600


def clip(name: str) -> bytes:
    """A recording, s16le at 16 kHz."""
    with wave.open(str(DATA / name)) as file:
        if file.getframerate() != RATE_HZ:
            sys.exit(f"{name}: expected {RATE_HZ} Hz")
        return file.readframes(file.getnframes())


async def turn(session: RecognizerSession, pcm: bytes, *, pace: float = 1.0) -> float:
    """Return the seconds from the end of a turn to its words. ``pace`` 0 sends at full speed."""
    loop = asyncio.get_running_loop()
    item = await session.open(RATE_HZ)
    began = loop.time()
    for at in range(0, len(pcm), PIECE):
        await asyncio.sleep(max(0.0, began + pace * at / 2 / RATE_HZ - loop.time()))
        await item.feed(pcm[at : at + PIECE])
    ended = loop.time()
    item.finish()
    async for _ in item.hypotheses():
        pass
    return loop.time() - ended


async def speak(sphinx: Pocketsphinx, pcm: bytes, turns: int, delay_s: float) -> list[float]:
    """Return the latencies of one session, without the first turn."""
    async with sphinx.session() as session:
        await asyncio.sleep(delay_s)
        latencies = []
        for _ in range(turns + 1):
            latencies.append(await turn(session, pcm))
            await asyncio.sleep(PAUSE_S)
    return latencies[1:]


async def parallel_sessions(workers: int, sessions: int, turns: int, *, flood: bool = False) -> list[float]:
    """Return the latencies of parallel sessions."""
    pcm = clip("sense_0870.wav")
    sphinx = Pocketsphinx(workers)
    try:
        sphinx.warm_up()
        async with sphinx.session() as session:
            await turn(session, pcm[: 2 * RATE_HZ], pace=0)
        async with sphinx.session() as flood_session:
            flood_task = asyncio.create_task(turn(flood_session, pcm * (FLOOD_S * RATE_HZ * 2 // len(pcm)), pace=0))
            if not flood:
                flood_task.cancel()
            # Spread the sessions over one turn.
            each = [speak(sphinx, pcm, turns, number * len(pcm) / 2 / RATE_HZ / sessions) for number in range(sessions)]
            latencies = [latency for part in await asyncio.gather(*each) for latency in part]
            flood_task.cancel()
            await asyncio.wait([flood_task])
    finally:
        await sphinx.aclose()
    return latencies


def row(workers: int, what: str, latencies: list[float]) -> tuple[int, str, int, str, str, str]:
    """Return a row of the table, in ms."""
    p95 = statistics.quantiles(latencies, n=20, method="inclusive")[-1]
    figures = (f"{1000 * value:.0f}" for value in (statistics.median(latencies), p95, max(latencies)))
    p50, p95_ms, most = figures
    return workers, what, len(latencies), p50, p95_ms, most


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 2, 4, 6, 8])
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--no-flood", action="store_true")
    options = parser.parse_args()
    rows = []
    for workers in options.workers:
        rows += [
            row(workers, f"{sessions}", asyncio.run(parallel_sessions(workers, sessions, options.turns)))
            for sessions in options.sessions
        ]
        if not options.no_flood:
            flooded = asyncio.run(parallel_sessions(workers, 1, options.turns, flood=True))
            rows.append(row(workers, "1 beside a flood", flooded))
    table(("workers", "sessions", "turns", "p50 ms", "p95 ms", "max ms"), rows)


if __name__ == "__main__":
    main()
