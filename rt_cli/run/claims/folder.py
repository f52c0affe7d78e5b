"""The files of the claims. All of it blocks."""

from __future__ import annotations

import errno
import itertools
import os
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_cli.disk.outfile import PRIVATE, write_all
from rt_cli.run.claims.decision import Phase
from rt_cli.run.claims.owner import Owner, decode, encode

if TYPE_CHECKING:
    from pathlib import Path

_MOST_BYTES = 4096
_SERVER_TIME_FOR_S = 5.0
"""The time of the file server is asked for this often at most."""
_PRIVATE_FOLDER = 0o700
_NO_LINKS = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.EMLINK}
"""Errors of link() on a file system without hard links."""


@dataclass(frozen=True, slots=True)
class ClaimFile:
    """A claim as it was read."""

    owner: Owner | None
    """None if the claim is not written yet, or cannot be understood."""
    phase: Phase
    refreshed_at: float
    """By the clock of the file server, Unix time, seconds."""


class ClaimFolder:
    """A folder of claims, which may be shared by many machines.

    Args:
        path: Of the folder; created if it is missing.
        owner: This process.

    Raises:
        OSError: The folder cannot be used.
    """

    def __init__(self, path: Path, owner: Owner) -> None:
        self._path = path
        self._owner = owner
        self._numbers = itertools.count()
        self._server_ahead: tuple[float, float] | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            path.mkdir(mode=_PRIVATE_FOLDER)
        # Somebody else may be able to make links in the folder of the results.
        if not stat.S_ISDIR(path.lstat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
        self.server_time()

    def read(self, identity: str, number: int) -> ClaimFile | None:
        """Return a claim; None if there is none.

        Raises:
            OSError: It cannot be read.
        """
        try:
            # To open a file is what makes NFS look at its present state.
            descriptor = os.open(self._file(identity, number), os.O_RDONLY | _no_follow())
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            lines = file.read(_MOST_BYTES).split(b"\n")
            refreshed_at = os.fstat(descriptor).st_mtime
        # The text behind the last line end is none yet.
        words = {word.value for word in Phase} & {line.decode("ascii", "replace") for line in lines[1:-1]}
        phase = Phase.DONE if "done" in words else Phase.RELEASED if "released" in words else Phase.WORKING
        return ClaimFile(decode(lines[0]) if len(lines) > 1 else None, phase, refreshed_at)

    def create(self, identity: str, number: int) -> bool:
        """Create a claim of this process. False if there is one of this number; of many processes one creates it.

        Raises:
            OSError: It cannot be created.
        """
        file = self._file(identity, number)
        file.parent.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
        written = file.with_name(f".{self._owner.token}-{next(self._numbers)}")
        write_new(written, encode(self._owner))
        try:
            # A link appears with its content; a new file is empty for a moment, and for good if its process dies then.
            os.link(written, file)
        except FileExistsError:
            # NFS may have made the link, lost its answer, and tried again.
            return written.stat().st_nlink > 1
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            try:
                write_new(file, encode(self._owner))
            except FileExistsError:
                return False
        finally:
            written.unlink(missing_ok=True)
        return True

    def write(self, identity: str, number: int, phase: Phase) -> None:
        """Write into a claim of this process how its work ended.

        Raises:
            OSError: It cannot be written.
        """
        descriptor = os.open(self._file(identity, number), os.O_WRONLY | os.O_APPEND | _no_follow())
        try:
            write_all(descriptor, f"{phase.value}\n".encode())
        finally:
            os.close(descriptor)

    def refresh(self, identity: str, number: int) -> None:
        """Give a claim of this process the time of the file server.

        Raises:
            OSError: It cannot be changed.
        """
        os.utime(self._file(identity, number))

    def server_time(self) -> float:
        """Return the time of the file server, which may be far from that of this machine, Unix time, seconds.

        Raises:
            OSError: No file can be made in the folder.
        """
        now = time.monotonic()
        if self._server_ahead is None or now - self._server_ahead[0] > _SERVER_TIME_FOR_S:
            clock = self._path / f".{self._owner.token}-{next(self._numbers)}"
            write_new(clock, b"")
            try:
                os.utime(clock)
                self._server_ahead = (now, clock.stat().st_mtime - now)
            finally:
                clock.unlink(missing_ok=True)
        return now + self._server_ahead[1]

    def _file(self, identity: str, number: int) -> Path:
        # A folder of 256: some file systems are slow with a million files in one.
        return self._path / identity[:2] / (identity[2:] + (f".{number}" if number else ""))


def write_new(path: Path, data: bytes) -> None:
    """Create a file that is not there. Raises FileExistsError if it is, and OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _no_follow(), PRIVATE)
    try:
        write_all(descriptor, data)
    finally:
        os.close(descriptor)


def _no_follow() -> int:
    return getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
