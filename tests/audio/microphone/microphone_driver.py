"""A program that records from a microphone into a raw file and prints events as JSON lines on stdout.

Reads an :class:`Order` as JSON from its first argument. Writes one JSON object per line, each with ``event`` (``open``,
``stop``, ``error``, ``end`` with the account, ``reopen``) and ``at``, the monotonic clock that all processes share.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import logging
import sys
import time
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from rt_cli.audio.microphone import device_buffer
from rt_cli.audio.microphone import portaudio_stream as module
from rt_cli.audio.microphone.portaudio_stream import Microphone, open_microphone
from rt_cli.audio.microphone.ring import Ring
from rt_cli.errors import RtError

WIRE_RATE_HZ = 24_000


@dataclass(frozen=True)
class Order:
    """The parameters of a run."""

    out: str
    """File for the samples: s16le at 24 kHz."""
    device: str | None = None
    seconds: float | None = None
    """Length of the recording; None: until a line arrives on stdin."""
    wait_s: float = 0
    """Delay before reading starts."""
    reopen: str | None = None
    """File for a second recording of one second, which starts at a line on stdin."""
    log: str | None = None
    """File for the debug log."""
    open_deadline_s: float = module.OPEN_DEADLINE_S
    hog_s: float = 0
    """How long to hold the GIL, once every second."""


class TimedRing(Ring):
    """A ring that measures how long bytes stay in it."""

    latencies_ms: ClassVar[list[float]] = []

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self._arrivals: deque[tuple[int, float]] = deque()

    def write(self, data: memoryview) -> bool:
        """Record the time of the write."""
        fits = super().write(data)
        self._arrivals.append((self._written, time.monotonic()))
        return fits

    def read(self, limit: int) -> tuple[int, bytes]:
        """Record the latency of the bytes that were read."""
        stretch = super().read(limit)
        while self._arrivals and self._arrivals[0][0] <= self._read:
            self.latencies_ms.append((time.monotonic() - self._arrivals.popleft()[1]) * 1000)
        return stretch

    @classmethod
    def account(cls) -> dict[str, float]:
        """Median and 99th percentile of the latency, milliseconds."""
        ordered = sorted(cls.latencies_ms) or [0.0]
        return {"median_ms": ordered[len(ordered) // 2], "p99_ms": ordered[len(ordered) * 99 // 100]}


def say(event: str, **values: object) -> None:
    """Print one line of JSON."""
    sys.stdout.write(json.dumps({"event": event, "at": time.monotonic(), **values}) + "\n")
    sys.stdout.flush()


async def record(order: Order) -> None:
    """Open, read to the end, close and print the results."""
    began = time.monotonic()
    microphone = await open_microphone(order.device, wire_rate_hz=WIRE_RATE_HZ, chunk_ms=40)
    say("open", name=microphone.info.name, rate_hz=microphone.info.rate_hz, took_s=time.monotonic() - began)
    ending = asyncio.create_task(_stop_later(microphone, order.seconds))
    hogging = asyncio.create_task(_hog(order.hog_s))
    await asyncio.sleep(order.wait_s)
    try:
        pcm, lost = await _read(microphone)
        say("read", samples=len(pcm) // 2, lost=lost)
        await asyncio.to_thread(Path(order.out).write_bytes, pcm)
    finally:
        ending.cancel()
        hogging.cancel()
        closing = time.monotonic()
        await microphone.aclose()
        say("end", overflows=microphone.overflows, close_s=time.monotonic() - closing, **TimedRing.account())


async def _read(microphone: Microphone) -> tuple[bytes, int]:
    """All samples, with holes as silence, and the number of lost samples."""
    pcm, lost = bytearray(), 0
    try:
        async for block in microphone.blocks():
            lost += block.lost
            pcm += bytes(2 * block.lost) + block.pcm
    except RtError as error:
        say("error", code=error.code, message=str(error), exit=error.exit_code)
    return bytes(pcm), lost


async def _hog(seconds: float) -> None:
    # A PyDLL keeps the interpreter's lock while C runs: no Python thread moves, PortAudio's callback included.
    usleep = ctypes.PyDLL(None).usleep
    while seconds:
        await asyncio.sleep(1)
        usleep(round(seconds * 1_000_000))


async def _stop_later(microphone: Microphone, seconds: float | None) -> None:
    if seconds is None:
        await asyncio.to_thread(sys.stdin.readline)
    else:
        await asyncio.sleep(seconds)
    say("stop")
    microphone.stop()


async def main() -> int:
    """Make one recording, or two with ``reopen``."""
    order = Order(**json.loads(sys.argv[1]))
    if order.log:
        logging.basicConfig(filename=order.log, level=logging.DEBUG)
    module.OPEN_DEADLINE_S = order.open_deadline_s
    vars(device_buffer)["Ring"] = TimedRing
    try:
        await record(order)
        if order.reopen:
            say("reopen")
            await asyncio.to_thread(sys.stdin.readline)
            await record(replace(order, out=order.reopen, seconds=1.0))
    except RtError as error:
        say("error", code=error.code, message=str(error), exit=error.exit_code)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
