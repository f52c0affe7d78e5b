"""Where sound comes from: another program, a microphone."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.simulation.machine.world import World
    from tests.simulation.sound import Sound


class Stdin:
    """``sys.stdin``: sound from another program, as it comes, or as fast as it is read."""

    closed = False

    def __init__(self, world: World, pcm: bytes, *, live: bool) -> None:
        self.buffer = self
        self._world, self._pcm, self._live = world, pcm, live
        self._began, self._at = world.now + world.asleep, 0

    def isatty(self) -> bool:
        """It is a pipe."""
        return False

    def fileno(self) -> int:
        """There is no descriptor."""
        raise io.UnsupportedOperation

    def read(self, size: int) -> bytes:
        """Return what is there; waits for the next sound."""
        if self._live:
            size = min(size, 4_800)
            due = self._began + (self._at + size) / 48_000
            if (wait := due - self._world.now - self._world.asleep) > 0 and self._at < len(self._pcm):
                self._world.sleep(wait)
        piece = self._pcm[self._at : self._at + size]
        self._at += len(piece)
        return piece


class Microphone:
    """A live source that may lose sound."""

    present: Microphone

    def __init__(self, world: World, sound: Sound) -> None:
        from rt_cli.audio.source import SourceInfo

        self.info = SourceInfo("simulated microphone", "microphone", True, 24_000, 1)
        self.lost_until = -1.0
        """Monotonic time until which the device loses all sound."""
        self._world, self._pcm = world, sound.pcm
        self._stopped = asyncio.Event()

    async def blocks(self) -> AsyncIterator[Any]:
        """Yield the sound as time goes by."""
        from rt_cli.audio.source import Block

        world, began, at, lost = self._world, self._world.now, 0, 0
        while at < len(self._pcm) and not self._stopped.is_set():
            size = min(4_800, len(self._pcm) - at)
            wait = began + (at + size) / 48_000 - world.now
            if wait > 0:
                await asyncio.sleep(wait)
            if world.now < self.lost_until:
                lost += size // 2
            else:
                yield Block(self._pcm[at : at + size], lost, "device_lost")
                lost = 0
            at += size
        if lost:
            yield Block(b"", lost, "device_lost")

    def stop(self) -> None:
        """End."""
        self._stopped.set()

    async def aclose(self) -> None:
        """Nothing to close."""


async def open_microphone(*_: Any, **__: Any) -> Microphone:
    """Open the simulated one."""
    return Microphone.present
