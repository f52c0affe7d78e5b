"""Lines on a FIFO, for whoever wants to control a run from another program."""

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

_AT_ONCE = 4096
_LONGEST_LINE = 200


class Lines:
    """Whole lines out of pieces; what is too long for one is cut. Pure."""

    def __init__(self) -> None:
        self._rest = b""

    def push(self, piece: bytes) -> list[str]:
        """The lines that a piece completes, without blanks around them, and without empty ones."""
        *whole, self._rest = (self._rest + piece).split(b"\n")
        self._rest = self._rest[:_LONGEST_LINE]
        lines = (line[:_LONGEST_LINE].decode(errors="replace").strip() for line in whole)
        return [line for line in lines if line]


class Fifo:
    """Reads a FIFO until :meth:`close`; writers may come and go.

    Args:
        path: Made, for its owner alone, if it does not exist; and removed again then.
        loop: Whose thread uses it.
        on_line: Told each line, on the loop's thread.

    Raises:
        UsageError: It is something else, cannot be made or opened, or there are no FIFOs on this system.
    """

    def __init__(self, path: str, loop: AbstractEventLoop, on_line: Callable[[str], None]) -> None:
        self._path = path
        self._loop = loop
        self._on_line = on_line
        self._lines = Lines()
        self._made = _make(path)
        try:
            # For writing, too: so it has no end when a writer closes it.
            self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        except OSError as exc:
            raise UsageError(f"cannot open {path}: {exc.strerror}", "give another --ptt-fifo") from exc
        loop.add_reader(self._descriptor, self._read)

    def close(self) -> None:
        """Read no more."""
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        if self._made:
            with suppress(FileNotFoundError):
                Path(self._path).unlink()

    def _read(self) -> None:
        for line in self._lines.push(os.read(self._descriptor, _AT_ONCE)):
            self._on_line(line)


def _make(path: str) -> bool:
    """Make a FIFO where there is nothing; whether it did."""
    if not hasattr(os, "mkfifo"):
        raise UsageError("this system has no FIFOs", "use --ptt and the keyboard")
    try:
        os.mkfifo(path, 0o600)
    except FileExistsError:
        if not stat.S_ISFIFO(Path(path).stat().st_mode):
            raise UsageError(f"{path} is there, and no FIFO", "give another --ptt-fifo") from None
        return False
    except OSError as exc:
        raise UsageError(f"cannot make the FIFO {path}: {exc.strerror}", "give another --ptt-fifo") from exc
    return True
