"""The disk: a folder in memory, whose writes may be slow, refused, or cut in the middle by a kill."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import greenlet

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.machine.world import World


class Disk:
    """The disk: a folder in memory, whose writes may be slow, refused, or cut in the middle by a kill."""

    present: Disk

    def __init__(self, world: World) -> None:
        self.world = world
        self.slow_s = 0.0
        """Seconds that a write takes."""
        self.full = 0
        """Faults that leave no room now."""
        self.torn = 0.0
        """Share of a write that is on disk before the rest."""
        self.ambush: tuple[bytes, float, Callable[[], object]] | None = None
        """Kill in the next write with these bytes: so large a share of it is on disk, and a moment later all ends."""
        self._files: list[DiskFile] = []

    def file(self, descriptor: int) -> DiskFile:
        """Return a file of this disk."""
        self._files.append(DiskFile(self, descriptor))
        return self._files[-1]

    def find(self, descriptor: int) -> DiskFile | None:
        """Return the open file with this descriptor; None if it is none of this disk."""
        return next((file for file in self._files if not file.closed and file.fileno() == descriptor), None)

    def close(self) -> list[str]:
        """Close what a process has left open, as its end does. Return the names."""
        left = [file for file in self._files if not file.closed]
        names = [Path(f"/proc/self/fd/{file.fileno()}").readlink().name for file in left]
        for file in left:
            file.close()
        self._files.clear()
        return names


_AMBUSH_S = 0.05
"""Until the kill: what waits for no write goes on."""


class DiskFile(io.FileIO):
    """A file of the disk."""

    def __init__(self, disk: Disk, descriptor: int) -> None:
        super().__init__(descriptor, "wb")
        self._disk = disk

    def write(self, data: Any) -> int:
        """Write; blocks as long as the disk takes."""
        disk, size = self._disk, len(data)
        if disk.world.dead:
            raise greenlet.GreenletExit
        if disk.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if disk.ambush is not None and disk.ambush[0] in bytes(data):
            (_, share, kill), disk.ambush = disk.ambush, None
            super().write(bytes(data[: round(size * share)]))
            disk.world.after(_AMBUSH_S, kill)
            disk.world.sleep(2 * _AMBUSH_S)
        if not disk.slow_s:
            return super().write(data)
        first = int(size * disk.torn)
        super().write(bytes(data[:first]))
        disk.world.sleep(disk.slow_s)
        if disk.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().write(bytes(data[first:]))
        return size
