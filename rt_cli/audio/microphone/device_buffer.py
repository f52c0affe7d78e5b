"""The buffer between a capture thread and the event loop: a ring, and the losses of the driver."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rt_cli.audio.microphone.overflow import AdcClock, ArrivalClock
from rt_cli.audio.microphone.ring import Ring

if TYPE_CHECKING:
    from collections.abc import Callable

BYTES_PER_VALUE = 4
RING_S = 10


class DeviceBuffer:
    """The state that PortAudio's thread and the reader share.

    Args:
        loop: Event loop of the reader, woken once per batch of blocks; may be closed at any time.
        rate_hz: Frames per second.
        channels: Values per frame.
        now: A monotonic clock, seconds.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        rate_hz: int,
        channels: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.frame_bytes = channels * BYTES_PER_VALUE
        self.ring = Ring(RING_S * rate_hz * self.frame_bytes)
        self.data_ready = asyncio.Event()
        self.blocks = 0
        self.overflows = 0
        self.finished = False
        self.closed = False
        self.began_at: float | None = None
        """Capture time of the first frame, monotonic seconds, to the precision of a block; None before the first."""
        self.last_at = now()
        """Capture time of the latest frame, the same way; at first, the time of creation."""
        self._loop = loop
        self._now = now
        self._rate_hz = rate_hz
        self._adc = AdcClock(rate_hz)
        self._arrivals = ArrivalClock(rate_hz)
        self._held: list[bytes] = []
        """Blocks after an overflow whose length is being measured."""
        self._held_lock = threading.Lock()
        """Taken only while blocks are held, so that PortAudio's thread waits for no one but :meth:`close`."""
        self._wake_pending = False

    def callback(self, data: Any, frames: int, times: Any, status: Any) -> None:
        """Copy one block. PortAudio calls this in its thread."""
        if self.closed:
            return
        overflowed = bool(status) and status.input_overflow
        lost = self._adc.lost(times.inputBufferAdcTime, frames, overflowed=overflowed)
        if lost is None:
            self.overflows += 1
        lost = self._arrivals.lost(self._now(), frames, lost)
        if lost is None or self._held:
            self._hold(bytes(data), lost)
            self._arrived(frames)
            return
        if lost:
            self.ring.lose(lost * self.frame_bytes)
        self.take(memoryview(data), frames)

    def take(self, data: memoryview, frames: int) -> None:
        """Store a block, and wake the reader if no wake-up is pending. Call it in the capture thread."""
        self.ring.write(data)
        self._arrived(frames)

    def close(self) -> None:
        """Ignore all further audio. Idempotent. Held blocks become readable, after the hole as far as it is known."""
        with self._held_lock:
            self.closed = True
            if self._held:
                self._release(self._arrivals.estimate())

    def _hold(self, data: bytes, lost: int | None) -> None:
        """Hold a block; store all held ones if the number of frames lost before them is known."""
        with self._held_lock:
            if self.closed:
                return
            self._held.append(data)
            if lost is not None:
                self._release(lost)

    def _release(self, lost: int) -> None:
        self.ring.lose(lost * self.frame_bytes)
        for block in self._held:
            self.ring.write(memoryview(block))
        self._held.clear()

    def _arrived(self, frames: int) -> None:
        self.blocks += 1
        self.last_at = now = self._now()
        if self.began_at is None:
            self.began_at = now - frames / self._rate_hz
        if not self._wake_pending:
            self._wake_pending = True
            self.wake()

    def rearm(self) -> None:
        """Allow the next wake-up. The reader calls this before it reads the ring."""
        self._wake_pending = False
        self.data_ready.clear()

    def on_finished(self) -> None:
        """Mark the stream as ended, by us or by the device. PortAudio calls this in its thread."""
        self.finished = True
        self.wake()

    def detach(self) -> None:
        """Ignore all further audio, because it is from another device, and end the stream."""
        self.closed = True
        self.on_finished()

    def wake(self) -> None:
        """Wake the reader. Thread-safe."""
        # RuntimeError: the loop is closed, so there is no reader.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.data_ready.set)
