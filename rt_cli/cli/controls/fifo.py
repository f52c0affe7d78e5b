"""Read commands from a FIFO, so that another program can control a run."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

_READ_BYTES = 4096
_LONGEST_LINE = 200


class Lines:
    """Splits pieces of bytes into lines, and truncates lines that are too long. Pure."""

    def __init__(self) -> None:
        self._rest = b""

    def push(self, piece: bytes) -> list[str]:
        """Return the lines that a piece completes: stripped, and without empty ones."""
        *whole, self._rest = (self._rest + piece).split(b"\n")
        self._rest = self._rest[:_LONGEST_LINE]
        lines = (line[:_LONGEST_LINE].decode(errors="replace").strip() for line in whole)
        return [line for line in lines if line]


class Fifo:
    """Reads a FIFO until :meth:`close`; writers may come and go.

    Args:
        path: Of the FIFO. If it does not exist, it is created for its owner alone, and removed by :meth:`close`.
        loop: The event loop that reads it.
        on_line: Called with each line, on the loop's thread.

    Raises:
        UsageError: The path is no FIFO, cannot be created or opened, or the system has no FIFOs.
    """

    def __init__(self, path: str, loop: AbstractEventLoop, on_line: Callable[[str], None]) -> None:
        self._path = path
        self._loop = loop
        self._on_line = on_line
        self._lines = Lines()
        self._owns_path = _make_fifo(path)
        try:
            # Open for writing, too: without a writer, a FIFO reads as end of file.
            self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        except OSError as exc:
            raise UsageError(f"cannot open {path}: {exc.strerror}", "give another --ptt-fifo") from exc
        loop.add_reader(self._descriptor, self._read)

    def close(self) -> None:
        """Stop reading, and remove the FIFO if this object created it."""
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        if self._owns_path:
            with suppress(OSError):
                Path(self._path).unlink()

    def _read(self) -> None:
        try:
            piece = os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:
            return  # another reader of the FIFO was faster
        for line in self._lines.push(piece):
            self._on_line(line)


def _make_fifo(path: str) -> bool:
    """Create the FIFO if the path does not exist. True if it was created."""
    if not hasattr(os, "mkfifo"):
        raise UsageError("this system has no FIFOs", "use --ptt and the keyboard")
    try:
        os.mkfifo(path, 0o600)
    except FileExistsError:
        if not _is_fifo(path):
            raise UsageError(f"{path} is there, and no FIFO", "give another --ptt-fifo") from None
        return False
    except (OSError, ValueError) as exc:  # ValueError: a NUL in the name
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise UsageError(f"cannot make the FIFO {path}: {reason}", "give another --ptt-fifo") from exc
    return True


def _is_fifo(path: str) -> bool:
    try:
        return stat.S_ISFIFO(Path(path).stat().st_mode)
    except OSError:
        return False  # a link that leads nowhere
