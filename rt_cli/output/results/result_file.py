"""One file of results, written on a background thread, because a disk can be slow."""

from __future__ import annotations

import errno
import os
import stat
from functools import partial
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError
from rt_cli.output.results.formats import dispatch, make_results
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import FileIO
    from pathlib import Path

    from rt_cli.disk.serial_thread import SerialThread
    from rt_cli.events import Event, Label
    from rt_cli.output.line_writer import OnWritten
    from rt_cli.output.results.write_receipts import WriteReceipts
    from rt_cli.settings import OutputFormat

_CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EROFS}
"""Errors of fsync on a pipe or a device."""


class ResultFile:
    """Writes results during the run. After the first failure it writes nothing more, so the file has no gap.

    Args:
        path: Path of the file.
        kind: The format.
        disk: Thread for blocking operations.
        timestamps: True if lines of text begin with a time.
        on_failed: Called at most once, on the disk thread, with the error and the file name.
        on_printed: Called on the disk thread with the turn of each final in the file. With ``atomic``, called only
            when the file is complete, because a run after a crash writes the file again.
        atomic: True: the file is called ``NAME.part`` until it is complete, and stays so if it never is. False: the
            file has its name at once, and each line is synced to disk before the next one.
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
        atomic: bool = False,
    ) -> None:
        self._path = path
        self._written_to = path.with_name(f"{path.name}.part") if atomic else path
        self._atomic = atomic
        self._disk = disk
        self._on_failed = on_failed
        self._failed = False
        self._file: FileIO | None = None
        self._receipts: WriteReceipts | None = None
        self._on_printed = on_printed
        self._pending_turns: list[int] = []
        on_final = self._pending_turns.append if atomic and on_printed is not None else on_printed
        self._results = make_results(kind, self._write_line, timestamps=timestamps, on_printed=on_final)

    def open(self, *, replace: bool) -> None:
        """Open the file now instead of at the first line.

        Raises:
            UsageError: The file cannot be written, or is not empty and ``replace`` is False.
        """
        name = printable(str(self._path))
        try:
            if not replace and _has_content(self._path):
                raise UsageError(f"{name} exists", "choose another name, or --force to replace it")
            self._file = _open(self._path)
        except OSError as exc:
            raise UsageError(f"cannot write {name}: {exc.strerror}", "save it elsewhere") from exc

    def on_event(self, event: Event, label: Label | None, receipts: WriteReceipts | None) -> None:
        """Handle an event. Returns at once and never raises.

        Args:
            event: The event.
            label: Its source.
            receipts: Counter for the lines of the source.
        """
        self._receipts = receipts
        dispatch(self._results, event, label)

    def end(self, *, complete: bool) -> None:
        """End the file: no more events will come. Returns at once.

        Args:
            complete: True if the results are complete.
        """
        self._disk.do(partial(self._end, self._expected(None), complete=complete))

    def _write_line(self, line: str, *, droppable: bool = False, on_written: OnWritten = None) -> None:
        expected = on_written if droppable else self._expected(on_written)
        self._disk.do(partial(self._write, f"{line}\n".encode("utf-8", "backslashreplace"), expected))

    def _expected(self, on_written: OnWritten) -> OnWritten:
        return on_written if self._receipts is None else self._receipts.expect(on_written)

    # -- on the thread ------------------------------------------------------------------------------------------------

    def _write(self, data: bytes, on_written: OnWritten) -> None:
        self._try(partial(self._append, data), on_written)

    def _append(self, data: bytes) -> None:
        file = self._ensure_open()
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) :]
        if not self._atomic:
            _sync(file)

    def _end(self, on_written: OnWritten, *, complete: bool) -> None:
        self._try(partial(self._close, complete=complete), on_written)
        if self._file is not None:
            self._file.close()

    def _close(self, *, complete: bool) -> None:
        if self._file is None and not complete:
            return  # the source could not be opened: there are no results to keep
        with self._ensure_open() as file:
            _sync(file)
        if self._atomic and complete:
            self._written_to.replace(self._path)
            if self._on_printed is not None:
                for turn in self._pending_turns:
                    self._on_printed(turn)

    def _ensure_open(self) -> FileIO:
        if self._file is None:
            self._file = _open(self._written_to)
        return self._file

    def _try(self, act: Callable[[], None], on_written: OnWritten) -> None:
        if self._failed:
            return
        try:
            act()
        except OSError as exc:
            self._failed = True
            self._on_failed(OSError(exc.errno, exc.strerror or str(exc), str(self._path)))
            return
        if on_written is not None:
            on_written()


def _has_content(path: Path) -> bool:
    try:
        status = path.stat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size > 0


def _open(path: Path) -> FileIO:
    return open(path, "wb", buffering=0, opener=_open_nonblocking)


def _open_nonblocking(path: str, flags: int) -> int:
    """Open without blocking: a named pipe without a reader raises OSError at once."""
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
