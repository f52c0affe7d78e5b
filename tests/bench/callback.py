"""From the microphone's callback to the wire: ``python tests/bench/callback.py [--seconds 20] [--block-ms 10]``.

A thread calls as PortAudio does, at the times at which a device would; ring, resampler, tape and sender are the real
ones, and the endpoint, a process of its own, notes when it reads each message. A message waits for its last sample, so
its first one is as long on its way as the message is; at 48 kHz the resampler's 20 ms or so are in both.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from rt_cli.audio.microphone.convert import WireConverter
from rt_cli.audio.microphone.device_buffer import DeviceBuffer
from rt_cli.audio.microphone.devices import Identity
from rt_cli.audio.microphone.portaudio_stream import Microphone
from rt_cli.audio.source import SourceInfo
from rt_cli.clock import SystemClock
from rt_cli.protocol.endpoint.endpoint import resolve
from rt_cli.settings import EndpointSettings, InputSettings, Settings
from rt_cli.streaming.job import Job
from rt_cli.streaming.streamer import Streamer
from tests.bench.measure import sink, table

WIRE_HZ = 24_000
_WARM_S = 2.0


class Device:
    """A thread that captures, with the interface of a ``sounddevice`` stream."""

    latency = 0.0

    def __init__(self, capture: DeviceBuffer, rate_hz: int, block_ms: int) -> None:
        self.called: list[float] = []
        """When each block was handed over, monotonic seconds."""
        self._capture = capture
        self._block_s = block_ms / 1000
        self._frames = rate_hz * block_ms // 1000
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        block = memoryview(bytes(self._frames * 4))
        due = time.monotonic()
        while not self._ended.is_set():
            due += self._block_s
            time.sleep(max(0.0, due - time.monotonic()))
            self.called.append(time.monotonic())
            self._capture.take(block, self._frames)

    def abort(self, **_: bool) -> None:
        """End the thread."""
        self._ended.set()
        self._thread.join()

    def close(self, **_: bool) -> None:
        """Do nothing."""


async def stream(url: str, seconds: float, rate_hz: int, block_ms: int, chunk_ms: int | None) -> Device:
    """Run one session; return its device."""
    chosen = Settings(input=InputSettings(chunk_ms=chunk_ms, duration_s=seconds))
    endpoint = resolve(EndpointSettings(url=url, model="whisper-1"), url, None)
    session = endpoint.dialect.request(chosen.session, endpoint.model, "server_vad", embedded=False)
    devices = []

    async def opened(*_: object) -> Microphone:
        capture = DeviceBuffer(asyncio.get_running_loop(), rate_hz, 1)
        devices.append(Device(capture, rate_hz, block_ms))
        info = SourceInfo("device", "microphone", live=True, rate_hz=rate_hz, channels=1)
        converter = WireConverter(rate_hz, 1, WIRE_HZ)
        return Microphone(info, devices[0], capture, converter, block_ms / 1000, Identity("device", 1, 0))

    job = Job("device", opened, endpoint, session, chosen)
    summary = await Streamer(job, SystemClock(), lambda _observation: None).run()
    if summary.exit:
        sys.exit(f"the run ended with {summary.exit}")
    return devices[0]


def delays_ms(called: list[float], block_ms: int, stamps: list[tuple[float, int]]) -> tuple[list[float], list[float]]:
    """Return the delays of the last and the first sample of each message, ms, without the warm-up."""
    block = WIRE_HZ * block_ms // 1000
    last, first, before = [], [], 0
    for at, samples in stamps:
        if before > _WARM_S * WIRE_HZ:
            last.append((at - called[(samples - 1) // block]) * 1000)
            first.append((at - called[before // block]) * 1000)
        before = samples
    return last, first


def measure(seconds: float = 20, block_ms: int = 10) -> None:
    """Print the table."""
    rows = []
    for rate_hz, chunk_ms in itertools.product((24_000, 48_000), (20, None)):
        with sink("--stamps") as endpoint:
            endpoint.mark()
            device = asyncio.run(stream(endpoint.url, seconds, rate_hz, block_ms, chunk_ms))
            last, first = delays_ms(device.called, block_ms, endpoint.report()["stamps"])
            headroom = endpoint.mark()
        quantiles = [statistics.quantiles(each, n=100) for each in (last, first)]
        figures = [f"{each[at]:.1f}" for each in quantiles for at in (49, 98)]
        if headroom.starved or headroom.late:
            figures = ["refused"] * len(figures)
        rows.append((rate_hz, "40 (default)" if chunk_ms is None else chunk_ms, len(last), *figures, headroom))
    print(f"\nmicrophone's callback (every {block_ms} ms) to the endpoint, ms\n")
    table(("device Hz", "chunk ms", "messages", "last sample p50", "p99", "first sample p50", "p99", "the sink"), rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--block-ms", type=int, default=10)
    options = parser.parse_args()
    measure(options.seconds, options.block_ms)
