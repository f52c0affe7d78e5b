"""Opens files for writing: never replaces a file unasked, never waits for the reader of a FIFO, has one error text."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from io import FileIO
    from pathlib import Path

PRIVATE = 0o600
"""Mode of a new file that only its owner may read."""
PUBLIC = 0o666
"""Mode of a new file that the umask restricts."""


def open_outfile(
    path: Path,
    *,
    replace: bool = False,
    append: bool = False,
    keep: bool = False,
    mode: int = PUBLIC,
    what: str = "",
    hint: str = "save it elsewhere",
    code: str | None = None,
) -> FileIO:
    """Open the file that a user named. Never blocks.

    Args:
        path: Path of the file, FIFO or device.
        replace: Whether a file with content may be replaced.
        append: Whether to append to a file with content.
        keep: Whether the content of a replaced file stays until the caller truncates it.
        mode: Mode of a new file.
        what: What the file is, for the error text.
        hint: What to do about an error.
        code: Code of the error, for scripts.

    Raises:
        UsageError: The file cannot be written, or has content and may not be replaced.
    """
    try:
        return open_raw(path, replace=replace, append=append, keep=keep, mode=mode)
    except FileExistsError as exc:
        raise UsageError(f"{path} exists", "choose another name, or --force to replace it", code=code) from exc
    except (OSError, ValueError) as exc:
        raise cannot_write(path, exc, what=what, hint=hint, code=code) from exc


def open_raw(
    path: Path, *, replace: bool, append: bool = False, keep: bool = False, follow: bool = True, mode: int = PUBLIC
) -> FileIO:
    """Open a file like :func:`open_outfile`, for callers that report the error later.

    Args:
        path: Path of the file, FIFO or device.
        replace: Whether a file with content may be replaced.
        append: Whether to append to a file with content.
        keep: Whether the content of a replaced file stays.
        follow: Whether ``path`` may be a symbolic link.
        mode: Mode of a new file.

    Raises:
        OSError: The system refuses, a FIFO has no reader, or (FileExistsError) the file may not be replaced.
        ValueError: The path has a NUL.
    """
    flags = os.O_APPEND if append else 0
    if not follow:
        flags |= getattr(os, "O_NOFOLLOW", 0)
    descriptor = open_descriptor(path, os.O_WRONLY | flags, mode)
    file = os.fdopen(descriptor, "wb", buffering=0)
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and found.st_size and not append:
        if not replace:
            file.close()
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        if not keep:
            file.truncate(0)
    return file


def open_descriptor(path: Path, flags: int, mode: int) -> int:
    """Open or create a file without waiting for another program; later reads and writes do block.

    Args:
        path: Path of the file.
        flags: Flags of ``os.open``, without O_CREAT.
        mode: Mode of a new file.

    Raises:
        OSError: The system refuses; ENXIO: nobody reads the FIFO, or the path is a socket.
    """
    # Without O_NONBLOCK, a FIFO without a reader holds up the program. O_NOCTTY: a terminal is only written to.
    flags |= getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    try:
        # Linux refuses O_CREAT for a FIFO of another user in a folder like /tmp, so create only what is missing.
        descriptor = os.open(path, flags, mode)
    except FileNotFoundError:
        descriptor = os.open(path, flags | os.O_CREAT, mode)
    if hasattr(os, "O_NONBLOCK"):
        os.set_blocking(descriptor, True)
    return descriptor


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data``; a nearly full disk takes a part first. Blocks.

    Raises:
        OSError: The disk is full or fails, or the reader of a FIFO is gone.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def is_same_file(first: Path, second: Path) -> bool:
    """Return whether two names mean one file, by whatever links; a device or FIFO counts as no file."""
    try:
        return first.samefile(second) and first.is_file()
    except (OSError, ValueError):  # one of them does not exist yet, or cannot exist
        return first.absolute() == second.absolute()


def cannot_write(
    path: Path, error: Exception, *, what: str = "", hint: str | None = "save it elsewhere", code: str | None = None
) -> UsageError:
    """Return the error for an output that cannot be opened or written."""
    name = f"{what} {path}" if what else f"{path}"
    return UsageError(f"cannot write {name}: {reason_of(error)}", hint, code=code)


def reason_of(error: Exception) -> str:
    """Return the reason of an OSError or ValueError in a few words."""
    if isinstance(error, OSError):
        if error.errno == errno.ENXIO:
            return "no program reads this pipe"
        return error.strerror or str(error)
    return str(error)


def prepare_folder(folder: Path) -> None:
    """Create a folder for output files, if it is missing, and check that a file can be made in it.

    Raises:
        UsageError: The folder cannot be created or is not writable.
    """
    probe = folder / f".rt-{os.getpid()}-{os.urandom(4).hex()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
        probe.unlink()
    except (OSError, ValueError) as exc:
        raise UsageError(f"cannot write to {folder}: {reason_of(exc)}", "choose another folder") from exc
