"""The names of sources: those of the command line, those in a list, and the sound files of a folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO

MOST_LIST_BYTES = 64 * 1024 * 1024
SOUND_ENDINGS = {
    *("aac", "ac3", "aif", "aifc", "aiff", "amr", "ape", "au", "avi", "caf", "flac", "flv", "m4a", "m4b", "mka", "mkv"),
    *(
        "mov",
        "mp3",
        "mp4",
        "mpeg",
        "mpg",
        "oga",
        "ogg",
        "opus",
        "rf64",
        "snd",
        "spx",
        "ts",
        "tta",
        "w64",
        "wav",
        "wave",
    ),
    *("webm", "wma", "wv"),
}
"""Endings of files with sound, in small letters. A file of another kind in a folder is left alone."""


def expand(names: Iterable[str]) -> list[str]:
    """Return the names with the sound files of a folder in its place, by name. Blocks.

    Hidden files and folders in it are left alone. A folder without sound files stays, for the error of its source.
    """
    found: list[str] = []
    for name in names:
        found += (_sound_files(name) if name != "-" and _is_folder(name) else None) or [name]
    return found


def is_sound_name(name: str) -> bool:
    """Return whether a file has the ending of a sound file."""
    stem, dot, ending = os.path.basename(name).rpartition(".")  # noqa: PTH119 - no path is made of foreign text
    return bool(stem and dot) and not stem.startswith(".") and ending.lower() in SOUND_ENDINGS


def read_list(file: str, *, null: bool) -> list[str]:
    """Return the names in a file. Blocks.

    Args:
        file: Path of the list; ``-`` is stdin.
        null: True if a NUL ends each name, as ``find -print0`` writes it; else a line end.

    Raises:
        UsageError: The list cannot be read, or has no names.
    """
    shown = "stdin" if file == "-" else printable(file)
    try:
        if file == "-":
            data = b"" if sys.stdin is None else _read(sys.stdin.buffer)
        else:
            with Path(file).open("rb") as stream:
                data = _read(stream)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"cannot read the names in {shown}: {reason}", "name another list") from error
    if len(data) > MOST_LIST_BYTES:
        raise UsageError(f"the list {shown} is too long", "give it in parts")
    if not null and b"\0" in data:
        raise UsageError(f"the names in {shown} end with a NUL", "add --null")
    names = names_in(data, null=null)
    if not names:
        raise UsageError(f"no names are in {shown}", "write one on each line")
    return names


def names_in(data: bytes, *, null: bool) -> list[str]:
    """Return the names in a list. They are bytes of the file system, whatever their encoding."""
    lines = data.split(b"\0") if null else [line.removesuffix(b"\r") for line in data.split(b"\n")]
    return [os.fsdecode(line) for line in lines if line]


def _read(stream: BinaryIO) -> bytes:
    return stream.read(MOST_LIST_BYTES + 1)


def _is_folder(name: str) -> bool:
    try:
        return Path(name).is_dir()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _sound_files(folder: str) -> list[str]:
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names, not paths
    except OSError:
        return []
    paths = (os.path.join(folder, name) for name in names if is_sound_name(name))  # noqa: PTH118 - as it was written
    return [path for path in paths if Path(path).is_file()]
