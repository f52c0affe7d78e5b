"""The spool: the tape on disk, so that a killed process loses no audio.

A folder holds the audio in segment files, named by their first sample, and a journal of what happened to the audio
(:mod:`rt_cli.timeline.journal`). Both are append-only. Each write returns only when the system has the data, so the
files of a killed process are complete up to its last write. A power failure can still lose data: there is no fsync.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import threading
from io import FileIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from rt_cli.audio.format import BYTES_PER_SAMPLE
from rt_cli.disk.outfile import PRIVATE, open_raw, write_all
from rt_cli.errors import UsageError
from rt_cli.timeline.journal import SpoolContents, head_of, line_of, read_journal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rt_cli.timeline.journal import SpoolSource

JOURNAL = "journal.jsonl"
LOCK = "lock"
_SEGMENT = re.compile(r"audio-([0-9]{15})\.pcm")
_SEGMENT_S = 60


class Spool:
    """An open spool, locked against a second process. Use :meth:`create` or :meth:`reopen` to get one.

    One thread may write at a time; reading is possible beside it.
    """

    def __init__(self, folder: Path, lock: FileIO, origin: SpoolSource, next_seq: int = 0) -> None:
        self.folder = folder
        self.origin = origin
        self._lock = lock
        self._journal = _append_to(folder / JOURNAL)
        self._journal_lock = threading.Lock()
        self._next_seq = next_seq
        self._torn = False
        """The last line of the journal may be incomplete."""
        self._segment: FileIO | None = None
        self._segment_start = 0
        self._end = 0

    @classmethod
    def create(cls, folder: Path, origin: SpoolSource) -> Spool:
        """Create a spool in an empty or missing folder. Only the user may read a new folder and the files.

        Raises:
            UsageError: The folder cannot be created or used, another process uses the spool, or the folder already
                holds an undelivered spool or other files.
        """
        try:
            if not folder.is_dir():
                folder.mkdir(mode=0o700, parents=True)
            _refuse_full(folder)
        except (OSError, ValueError) as exc:
            raise _cannot("make", folder, exc) from None
        lock = _lock(folder)
        try:
            _refuse_full(folder)
            spool = cls(folder, lock, origin)
            try:
                spool.note(head_of(origin))
            except OSError:
                spool.close(delivered=False)
                raise
        except (OSError, UsageError) as exc:
            lock.close()
            raise exc if isinstance(exc, UsageError) else _cannot("write into", folder, exc) from None
        return spool

    @classmethod
    def reopen(cls, folder: Path) -> tuple[Spool, SpoolContents]:
        """Open the spool that an earlier process left.

        Raises:
            UsageError: The folder has no spool, the spool cannot be read, or another process uses it.
        """
        try:
            there = stat.S_ISREG((folder / JOURNAL).lstat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            there = False
        except (OSError, ValueError) as exc:
            raise _cannot("read", folder, exc) from None
        if not there:
            raise UsageError(f"no spool in {folder}", "check the name; one that was delivered is removed")
        lock = _lock(folder)
        try:
            contents = read_journal(_read_file(folder / JOURNAL), _segment_ends(folder))
            spool = cls(folder, lock, contents.origin, contents.next_seq)
            # The last record may be incomplete: start the next record on a new line.
            spool._torn = True
            try:
                spool.note({"type": "resumed", "at": contents.settled})
            except OSError as exc:
                spool.close(delivered=False)
                raise UsageError(
                    f"cannot write into the spool folder {folder}: {exc.strerror}",
                    "make room: what was not delivered is in it",
                ) from None
        except (OSError, ValueError) as exc:
            lock.close()
            raise UsageError(
                f"the spool in {folder} cannot be read ({exc})", "its sound is in its .pcm files"
            ) from None
        spool._end = contents.captured
        return spool, contents

    def append(self, start: int, pcm: bytes) -> None:
        """Append captured audio at a timeline position.

        Args:
            start: Position of the first sample.
            pcm: Whole samples of s16le.

        Raises:
            OSError: The write failed, for example on a full disk.
        """
        if (
            self._segment is None
            or start != self._end
            or start - self._segment_start >= _SEGMENT_S * self.origin.rate_hz
        ):
            self._open_segment(start)
        assert self._segment is not None  # noqa: S101 - opened above
        try:
            _write(self._segment, pcm)
        except OSError:
            self._discard_empty_segment()
            raise
        self._end = start + len(pcm) // BYTES_PER_SAMPLE

    def note(self, *records: dict[str, Any]) -> None:
        """Append records to the journal, all of them in one write. Thread-safe; does nothing after :meth:`close`.

        Raises:
            OSError: The write failed, for example on a full disk. None of the records is in the journal then.
        """
        with self._journal_lock:
            if self._journal.closed:
                return
            lines = [line_of(record, self._next_seq + index) for index, record in enumerate(records)]
            torn, self._torn = self._torn, True
            _write(self._journal, b"".join([b"\n" if torn else b"", *lines]))
            self._torn = False
            self._next_seq += len(records)

    def release(self, settled: int) -> None:
        """Delete the segments that end before ``settled``."""
        segments = sorted(_segments(self.folder))
        for (_start, path), (following, _path) in pairwise(segments):
            if following <= settled:
                path.unlink(missing_ok=True)

    def read(self, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Yield the audio in ``[start, end)`` as (position, s16le), one segment at a time. Gaps yield nothing.

        Raises:
            OSError: A segment cannot be read.
        """
        done = start
        for first, path in sorted(_segments(self.folder)):
            with _read_from(path) as file:
                samples = os.fstat(file.fileno()).st_size // BYTES_PER_SAMPLE
                at, upto = max(first, done), min(first + samples, end)
                if at < upto:
                    file.seek((at - first) * BYTES_PER_SAMPLE)
                    yield at, file.read((upto - at) * BYTES_PER_SAMPLE)
                    done = upto

    def close(self, *, delivered: bool) -> None:
        """Close the files and release the lock.

        Args:
            delivered: True deletes the spool: all audio is delivered.
        """
        if self._segment is not None:
            self._segment.close()
            self._segment = None
        with self._journal_lock:
            self._journal.close()
        if delivered:
            for _start, path in _segments(self.folder):
                path.unlink(missing_ok=True)
            # After the segments: a folder without a journal is no spool.
            (self.folder / JOURNAL).unlink(missing_ok=True)
            (self.folder / LOCK).unlink(missing_ok=True)
        self._lock.close()
        if delivered:
            try:
                self.folder.rmdir()
            except OSError:
                pass  # the folder holds files of the user, or is named by a link

    def _open_segment(self, start: int) -> None:
        if self._segment is not None:
            self._segment.close()
            self._segment = None
        segment = _append_to(self._path_of(start))
        if os.fstat(segment.fileno()).st_size >= BYTES_PER_SAMPLE:
            segment.close()
            raise FileExistsError(errno.EEXIST, "a segment with sound is in the way")
        segment.truncate(0)
        self._segment, self._segment_start = segment, start

    def _discard_empty_segment(self) -> None:
        """Delete the segment if it is empty, so that failed writes on a full disk do not leave empty files."""
        if self._segment is not None and not os.fstat(self._segment.fileno()).st_size:
            self._segment.close()
            self._segment = None
            self._path_of(self._segment_start).unlink(missing_ok=True)

    def _path_of(self, start: int) -> Path:
        return self.folder / f"audio-{start:015d}.pcm"


def _cannot(what: str, folder: Path, error: Exception) -> UsageError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return UsageError(f"cannot {what} the spool folder {folder}: {reason}", "use another folder")


def _refuse_full(folder: Path) -> None:
    """Raise UsageError if the folder holds anything but a lock and a journal without a record."""
    names = {path.name for path in folder.iterdir()}
    others = names - {JOURNAL, LOCK}
    if JOURNAL in names and ((folder / JOURNAL).lstat().st_size or others):
        raise UsageError(f"{folder} holds sound that was not delivered", f"use --resume {folder}, or another folder")
    if others:
        raise UsageError(f"{folder} is not empty, and holds no spool", "use an empty or a new folder for the spool")


def _append_to(path: Path) -> FileIO:
    """Open or create a file of the spool, which only the user may read. Links inside the folder are not followed.

    Raises:
        OSError: The file cannot be opened, or is a link, a FIFO or a device.
    """
    return _regular(open_raw(path, replace=False, append=True, follow=False, mode=PRIVATE), path)


def _read_from(path: Path) -> FileIO:
    """Open a regular file of the spool. Raises OSError, also for a link, a FIFO or a device."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    return _regular(FileIO(os.open(path, flags)), path)


def _read_file(path: Path) -> bytes:
    with _read_from(path) as file:
        return file.readall()


def _regular(file: FileIO, path: Path) -> FileIO:
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return file


def _write(file: FileIO, data: bytes) -> None:
    """Append all of ``data``, or truncate the file to its old length and raise the OSError."""
    at = os.fstat(file.fileno()).st_size
    try:
        write_all(file.fileno(), data)
    except OSError:
        file.truncate(at)
        raise


def _lock(folder: Path) -> FileIO:
    """Lock the folder. The system releases the lock when the process ends, even if it is killed.

    Raises:
        UsageError: The folder is not writable, or another process holds the lock.
    """
    try:
        file = _append_to(folder / LOCK)
    except OSError as exc:
        raise _cannot("write into", folder, exc) from None
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined] # only there
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise UsageError(f"another process uses the spool in {folder}", "wait for it, or use another folder") from None
    return file


def _segments(folder: Path) -> Iterator[tuple[int, Path]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            found = _SEGMENT.fullmatch(entry.name)
            if found and entry.is_file(follow_symlinks=False):
                yield int(found[1]), folder / entry.name


def _segment_ends(folder: Path) -> Sequence[int]:
    return [start + path.lstat().st_size // BYTES_PER_SAMPLE for start, path in _segments(folder)]
