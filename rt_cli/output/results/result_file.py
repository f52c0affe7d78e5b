"""One file of results, written on a background thread, because a disk can be slow."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from functools import partial
from typing import TYPE_CHECKING

from rt_cli.disk.outfile import open_outfile, open_raw, write_all
from rt_cli.events import Final, Summary
from rt_cli.output.results.formats import dispatch, make_results

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import FileIO
    from pathlib import Path

    from rt_cli.disk.serial_thread import SerialThread
    from rt_cli.events import Event, Label
    from rt_cli.output.line_writer import OnWritten
    from rt_cli.output.results.words import Words
    from rt_cli.output.results.write_receipts import WriteReceipts
    from rt_cli.settings import OutputFormat

_NAME_BYTES = 255
"""Longest file name where the system does not say."""
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
        atomic: True: the file is called :func:`part_path` until it is complete, and stays so if it never is. False: the
            file has its name at once, and each line is synced to disk before the next one.
        writer: Name of this process in the name of an incomplete file, if others may write the same one.
        with_filename: True if words begin with the name of their source.
        words: The event whose line is the result of a turn.
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
        writer: str = "",
        with_filename: bool = False,
        words: Words = Final,
    ) -> None:
        self._path = path
        self._written_to = part_path(path, writer) if atomic else path
        self._atomic = atomic
        self._with_filename = with_filename
        self._disk = disk
        self._on_failed = on_failed
        self._failed = False
        self._file: FileIO | None = None
        self._held: list[bytes] | None = None
        """Lines that wait for the first result, while the file still has the content of an earlier run."""
        self._receipts: WriteReceipts | None = None
        self._on_printed = on_printed
        self._pending_turns: list[int] = []
        on_final = self._pending_turns.append if atomic and on_printed is not None else on_printed
        self._results = make_results(kind, self._write_line, timestamps=timestamps, on_printed=on_final, words=words)

    def open(self, *, replace: bool) -> None:
        """Open the file now instead of at the first line. Its content stays until there is a new result.

        Raises:
            UsageError: The file cannot be written, or is not empty and ``replace`` is False.
        """
        self._file = open_outfile(self._path, replace=replace, keep=True)
        found = os.fstat(self._file.fileno())
        if stat.S_ISREG(found.st_mode) and found.st_size:
            self._held = []

    def on_event(self, event: Event, label: Label | None, receipts: WriteReceipts | None) -> None:
        """Handle an event. Returns at once and never raises.

        Args:
            event: The event.
            label: Its source.
            receipts: Counter for the lines of the source.
        """
        self._receipts = receipts
        if _is_result(event, self._results.words):
            self._disk.do(partial(self._try, self._begin_anew, None))
        dispatch(self._results, event, label, with_filename=self._with_filename)

    def end(self, *, complete: bool) -> None:
        """End the file: no more events will come. Returns at once.

        Args:
            complete: True if the results are complete.
        """
        self._disk.do(partial(self._end, self._expected(None), complete=complete))

    def _write_line(
        self, line: str, *, droppable: bool = False, on_written: OnWritten = None, on_lost: OnWritten = None
    ) -> None:
        del on_lost  # the error of the file is reported
        expected = on_written if droppable else self._expected(on_written)
        self._disk.do(partial(self._write, f"{line}\n".encode("utf-8", "backslashreplace"), expected))

    def _expected(self, on_written: OnWritten) -> OnWritten:
        return on_written if self._receipts is None else self._receipts.expect(on_written)

    # -- on the thread ------------------------------------------------------------------------------------------------

    def _write(self, data: bytes, on_written: OnWritten) -> None:
        self._try(partial(self._append, data), on_written)

    def _begin_anew(self) -> None:
        """Replace the content of an earlier run: there is a new result."""
        if self._held is not None and self._file is not None:
            held, self._held = self._held, None
            self._file.truncate(0)
            write_all(self._file.fileno(), b"".join(held))

    def _append(self, data: bytes) -> None:
        if self._held is not None:
            self._held.append(data)
            return
        file = self._ensure_open()
        write_all(file.fileno(), data)
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
        if self._atomic:
            self._rename(complete=complete)

    def _rename(self, *, complete: bool) -> None:
        incomplete = part_path(self._path)
        if not complete:
            self._written_to.replace(incomplete)
            return
        try:
            self._written_to.replace(self._path)
        except FileNotFoundError:
            # Another process took this one for dead, and has completed the file.
            if not self._path.exists():
                raise
        incomplete.unlink(missing_ok=True)  # of an earlier run
        if self._on_printed is not None:
            for turn in self._pending_turns:
                self._on_printed(turn)

    def _ensure_open(self) -> FileIO:
        if self._file is None:
            # Somebody else may be able to make links in the folder of the results.
            self._file = open_raw(self._written_to, replace=True, follow=not self._atomic)
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


def _is_result(event: Event, words: Words) -> bool:
    """True if an event is worth the content of an earlier run: words, or that all was heard and none were said."""
    if isinstance(event, Summary):
        return event.complete and not event.skipped
    return isinstance(event, words) and bool(event.text.strip())


def part_path(path: Path, writer: str = "") -> Path:
    """Return the name of a result file until it is complete: ``NAME.part``, shortened if the system has no room.

    Args:
        path: Of the complete file.
        writer: Name of the process that writes it, if others may write it, too: ``NAME.WRITER.part``.
    """
    part = f".{writer}.part" if writer else ".part"
    name = path.name + part
    excess = len(os.fsencode(name)) - _longest_name(path.parent)
    if excess > 0:
        # The hash keeps the names of two sources apart that are equal in all but their end.
        ending = f"~{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]}{part}"
        stem = os.fsencode(path.name)[: max(0, _longest_name(path.parent) - len(ending))]
        name = stem.decode("utf-8", "ignore") + ending
    return path.with_name(name)


def _longest_name(folder: Path) -> int:
    try:
        return os.pathconf(folder, "PC_NAME_MAX") if hasattr(os, "pathconf") else _NAME_BYTES
    except (OSError, ValueError):
        return _NAME_BYTES


def _sync(file: FileIO) -> None:
    try:
        os.fsync(file.fileno())
    except OSError as exc:
        if exc.errno not in _CANNOT_SYNC:
            raise
