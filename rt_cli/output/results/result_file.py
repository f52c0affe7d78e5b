"""One file of results; written on a thread of its own, because a disk may take its time."""

from __future__ import annotations

import errno
import os
import stat
from functools import partial
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError
from rt_cli.output.results.formats import make_results, tell
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import FileIO
    from pathlib import Path

    from rt_cli.disk.serial_thread import SerialThread
    from rt_cli.events import Event, Label
    from rt_cli.output.line_writer import Written
    from rt_cli.output.results.write_receipts import WriteReceipts
    from rt_cli.settings import OutputFormat

_CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EROFS}
"""What fsync says of a pipe or a device."""


class ResultFile:
    """Written as the run goes on, and never with a hole: after the first failure nothing is added.

    Args:
        path: Of the file.
        kind: The format.
        disk: Does what may block.
        timestamps: Whether lines of text begin with a time.
        on_failed: Told why the file is not whole, with its name, on the disk's thread; at most once.
        on_printed: Told the turn of each final that is in the file, on the disk's thread; of a file that is to be
            whole, when it is: who comes after a crash begins it anew.
        whole: The file gets its name when it is whole; until then, and if it never is, ``.part`` is added to it.
            Else it has its name at once, and each line is on the disk before the next is written.
    """

    def __init__(
        self,
        path: Path,
        kind: OutputFormat,
        disk: SerialThread,
        *,
        timestamps: bool,
        on_failed: Callable[[OSError], None],
        on_printed: Callable[[int], None] | None = None,
        whole: bool = False,
    ) -> None:
        self._path = path
        self._written_to = path.with_name(f"{path.name}.part") if whole else path
        self._whole = whole
        self._disk = disk
        self._on_failed = on_failed
        self._failed = False
        self._file: FileIO | None = None
        self._receipts: WriteReceipts | None = None
        self._on_printed = on_printed
        self._in_part: list[int] = []
        told = self._in_part.append if whole and on_printed is not None else on_printed
        self._results = make_results(kind, self._write_line, timestamps=timestamps, on_printed=told)

    def open(self, *, replace: bool) -> None:
        """Open it now; else it is opened for the first line.

        Raises:
            UsageError: It cannot be written, or holds something that must not be replaced.
        """
        shown = printable(str(self._path))
        try:
            if not replace and _holds_something(self._path):
                raise UsageError(f"{shown} exists", "choose another name, or --force to replace it")
            self._file = _open(self._path)
        except OSError as exc:
            raise UsageError(f"cannot write {shown}: {exc.strerror}", "save it elsewhere") from exc

    def on_event(self, event: Event, label: Label | None, receipts: WriteReceipts | None) -> None:
        """Take what happens. Returns at once and never raises.

        Args:
            event: What.
            label: To which source.
            receipts: Count what is to be written of the source.
        """
        self._receipts = receipts
        tell(self._results, event, label)

    def end(self, *, complete: bool) -> None:
        """Nothing more will come. Returns at once.

        Args:
            complete: Nothing is missing.
        """
        self._disk.do(partial(self._end, self._expected(None), complete=complete))

    def _write_line(self, line: str, *, passing: bool = False, written: Written = None) -> None:
        expected = written if passing else self._expected(written)
        self._disk.do(partial(self._write, f"{line}\n".encode("utf-8", "backslashreplace"), expected))

    def _expected(self, written: Written) -> Written:
        return written if self._receipts is None else self._receipts.expect(written)

    # -- on the thread ------------------------------------------------------------------------------------------------

    def _write(self, data: bytes, written: Written) -> None:
        self._try(partial(self._append, data), written)

    def _append(self, data: bytes) -> None:
        file = self._opened()
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) :]
        if not self._whole:
            _sync(file)

    def _end(self, written: Written, *, complete: bool) -> None:
        self._try(partial(self._close, complete=complete), written)
        if self._file is not None:
            self._file.close()

    def _close(self, *, complete: bool) -> None:
        if self._file is None and not complete:
            return  # of a source that could not be opened there is nothing to keep
        with self._opened() as file:
            _sync(file)
        if self._whole and complete:
            self._written_to.replace(self._path)
            if self._on_printed is not None:
                for turn in self._in_part:
                    self._on_printed(turn)

    def _opened(self) -> FileIO:
        if self._file is None:
            self._file = _open(self._written_to)
        return self._file

    def _try(self, act: Callable[[], None], written: Written) -> None:
        if self._failed:
            return
        try:
            act()
        except OSError as exc:
            self._failed = True
            self._on_failed(OSError(exc.errno, exc.strerror or str(exc), str(self._path)))
            return
        if written is not None:
            written()


def _holds_something(path: Path) -> bool:
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size > 0


def _open(path: Path) -> FileIO:
    return open(path, "wb", buffering=0, opener=_without_waiting)


def _without_waiting(path: str, flags: int) -> int:
    """Open; a named pipe that nobody reads is an error at once."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)
    if hasattr(os, "O_NONBLOCK"):
        os.set_blocking(descriptor, True)
    return descriptor


def _sync(file: FileIO) -> None:
    try:
        os.fsync(file.fileno())
    except OSError as exc:
        if exc.errno not in _CANNOT_SYNC:
            raise
