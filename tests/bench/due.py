"""From due to written: ``python tests/bench/due.py [--seconds 60] [--chunk-ms 40]``.

Human speech with pauses from a live source in real time. A message of audio is due when its last sample is captured,
and written when the transport has it. Where ``rt`` makes the turns, audio that may lie behind the end of a turn waits
for the speech detector.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
import wave
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[2]))

from rt_cli.audio.source import Block, SourceInfo
from rt_cli.clock import SystemClock
from rt_cli.events import Event, Final
from rt_cli.protocol.endpoint.endpoint import resolve
from rt_cli.settings import EndpointSettings, InputSettings, Settings
from rt_cli.streaming.job import Job
from rt_cli.streaming.streamer import Streamer
from tests.bench.measure import DATA, sink, table

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rt_cli.settings import TurnDetection

RATE_HZ = 24_000
_PIECE = RATE_HZ // 50
_WARM_S = 2.0


def speech(seconds: float) -> bytes:
    """Return the recordings of the tests, s16le at 24 kHz, with a second and a half of silence behind each."""
    import numpy as np

    from rt_cli.audio.resample import Resampler

    parts = []
    for path in (DATA / "sense_0930.wav", DATA / "sense_0870.wav"):
        with wave.open(str(path)) as file:
            resampler = Resampler(file.getframerate(), RATE_HZ)
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
        parts += [resampler.push(samples), resampler.flush(), bytes(RATE_HZ * 3)]
    once = b"".join(parts)
    size = int(seconds * RATE_HZ) * 2
    return (once * (size // len(once) + 1))[:size]


class Live:
    """A microphone that captures 20 ms at a time; also the measure hooks of its run."""

    def __init__(self, pcm: bytes) -> None:
        self.info = SourceInfo("live", "microphone", live=True, rate_hz=RATE_HZ, channels=1)
        self.late_ms: list[float] = []
        self.finals: list[tuple[int | None, int | None]] = []
        self._pcm = pcm
        self._began = 0.0

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield each piece when its last sample is captured."""
        self._began = time.monotonic()
        for at in range(0, len(self._pcm) // 2, _PIECE):
            await asyncio.sleep(max(0.0, self._began + (at + _PIECE) / RATE_HZ - time.monotonic()))
            yield Block(self._pcm[at * 2 : (at + _PIECE) * 2])

    def stop(self) -> None:
        """Do nothing: the sound ends."""

    async def aclose(self) -> None:
        """Do nothing."""

    def opened(self) -> None:
        """Of no interest."""

    def sent(self, end: int) -> None:
        """A message is written."""
        if end > _WARM_S * RATE_HZ:
            captured = -(-end // _PIECE) * _PIECE
            self.late_ms.append((time.monotonic() - self._began - captured / RATE_HZ) * 1000)

    def round_trip(self, seconds: float) -> None:
        """Of no interest."""

    def heard_at(self, position: int) -> float | None:
        """When it was captured."""
        return self._began + position / RATE_HZ

    def event(self, event: Event) -> None:
        """Keep the place of each final."""
        if isinstance(event, Final):
            self.finals.append((event.start_ms, event.end_ms))


async def stream(url: str, turns: TurnDetection, pcm: bytes, chunk_ms: int) -> Live:
    """Run one session."""
    chosen = Settings(input=InputSettings(chunk_ms=chunk_ms))
    endpoint = resolve(EndpointSettings(url=url, model="whisper-1"), url, None)
    session = endpoint.dialect.request(chosen.session, endpoint.model, turns, embedded=False)
    live = Live(pcm)

    async def opened(*_: object) -> Live:
        return live

    job = Job("live", opened, endpoint, session, chosen, probe=live)
    summary = await Streamer(job, SystemClock(), live.event).run()
    if summary.exit:
        sys.exit(f"the run ended with {summary.exit}")
    return live


def measure(seconds: float = 60, chunk_ms: int = 40, *, finals: bool = False) -> None:
    """Print the table, and where the turns of ``rt`` are."""
    rows = []
    turns: TurnDetection
    for turns in ("server_vad", "client"):
        with sink() as endpoint:
            live = asyncio.run(stream(endpoint.url, turns, speech(seconds), chunk_ms))
        steps = statistics.quantiles(live.late_ms, n=1000)
        figures = (f"{steps[at]:.1f}" for at in (499, 949, 989, 998))
        rows.append((turns, chunk_ms, len(live.late_ms), *figures))
        if finals and turns == "client":
            print(live.finals)
    print("\nfrom due to written, ms\n")
    table(("turns by", "chunk ms", "messages", "p50", "p95", "p99", "p99.9"), rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--chunk-ms", type=int, default=40)
    parser.add_argument("--finals", action="store_true", help="print where the turns are")
    options = parser.parse_args()
    measure(options.seconds, options.chunk_ms, finals=options.finals)
