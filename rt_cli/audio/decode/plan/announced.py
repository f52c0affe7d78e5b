"""How many bytes of sound the header of a file announces: AIFF, AU, CAF, W64, and WAV of any kind."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from rt_cli.audio.decode.plan.file_part import FilePart
from rt_cli.audio.decode.plan.plan import Part
from rt_cli.audio.decode.recognise import TAGS

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_CHUNKS = 10_000
_UNKNOWN_32 = 0x7FFF_0000
"""Lengths from here on, and 0, are placeholders of programs that write into a pipe."""
_UNKNOWN_64 = 1 << 62
_AU_HEAD = 24
_W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_NEXT_CAF = b"caff"
_FEW_BYTES = 64
_MUCH_BEHIND = 4096
_CHUNKS = (b"LIST", b"id3 ")


class Extent(NamedTuple):
    """Where the sound of a file is, as the header states it."""

    start: int
    length: int
    end: int
    """End of the whole structure: what is behind it is not part of this file."""


def extent(file: BinaryIO, head: bytes, start: int = 0) -> Extent | None:
    """Return the extent of the sound; None for other formats, and for an unknown length.

    Args:
        file: The open file.
        head: The first bytes from ``start`` on.
        start: Position of the header in the file.
    """
    if head.startswith(b".snd"):
        return _au(head, start)
    if head.startswith((b"RIFF", b"RIFX")) and head[8:12] == b"WAVE":
        order = ">" if head.startswith(b"RIFX") else "<"
        return _sound_chunk(
            _chunks(file, start + 12, f"{order}4sI", 2), {b"data"}, _UNKNOWN_32, start, _riff(head, order)
        )
    if head.startswith(b"FORM") and head[8:12] in {b"AIFF", b"AIFC", b"8SVX"}:
        return _sound_chunk(
            _chunks(file, start + 12, ">4sI", 2), {b"SSND", b"BODY"}, _UNKNOWN_32, start, _riff(head, ">")
        )
    if head.startswith(b"caff"):
        return _sound_chunk(_chunks(file, start + 8, ">4sq", 1), {b"data"}, _UNKNOWN_64, start, 0)
    if head.startswith(_W64_RIFF):
        chunks = ((name[:4], at, size - 24) for name, at, size in _chunks(file, start + 40, "<16sq", 8, own=True))
        return _sound_chunk(chunks, {b"data"}, _UNKNOWN_64, start, int.from_bytes(head[16:24], "little"))
    return None


def _riff(head: bytes, order: str) -> int:
    length: int = struct.unpack_from(f"{order}I", head, 4)[0]
    return 8 + length if 0 < length < _UNKNOWN_32 else 0


def _au(head: bytes, start: int) -> Extent | None:
    if len(head) < _AU_HEAD:
        return None
    offset, length = struct.unpack_from(">II", head, 4)
    return Extent(start + offset, length, start + offset + length) if 0 < length < _UNKNOWN_32 else None


def _chunks(file: BinaryIO, at: int, layout: str, align: int, *, own: bool = False) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and length of each chunk. ``own``: the length includes the chunk's own head."""
    head = struct.Struct(layout)
    for _ in range(_MAX_CHUNKS):
        file.seek(at)
        data = file.read(head.size)
        if len(data) < head.size:
            return
        name, length = head.unpack(data)
        yield name, at + head.size, length
        step = max(length, head.size) if own else head.size + max(0, length)
        at += step + -step % align
        if at > _UNKNOWN_64:
            return


def _sound_chunk(
    chunks: Iterator[tuple[bytes, int, int]], names: set[bytes], unknown: int, start: int, stated: int
) -> Extent | None:
    found: Extent | None = None
    for name, at, length in chunks:
        if name == _NEXT_CAF:
            break
        if name in names and found is None:
            if not 0 < length < unknown:
                return None
            found = Extent(at, length, start + stated if stated else at + length)
        elif found is not None and not stated and name.isalnum():
            found = found._replace(end=at + length)
    return found


def missing_sound(path: str, head: bytes) -> int:
    """Return how many bytes of the sound that a header announces are not in the file; 0 for unknown."""
    with Path(path).open("rb") as file:
        found = extent(file, head)
    missing = found.start + found.length - Path(path).stat().st_size if found else 0
    return missing if missing > _FEW_BYTES else 0


def joined_behind(path: str, head: bytes) -> int:
    """Return how many bytes another CAF or AIFF has behind the first one, of which libav reads only the first."""
    if not head.startswith((_NEXT_CAF, b"FORM")):
        return 0
    with Path(path).open("rb") as file:
        found = extent(file, head)
        file.seek(found.end if found else 0, os.SEEK_SET if found else os.SEEK_END)
        is_next = file.read(len(_NEXT_CAF)) == head[: len(_NEXT_CAF)]
        return file.seek(0, os.SEEK_END) - found.end if found and is_next else 0


class PlainPlan:
    """A file in one part, of which only the length is checked; or several such files, one after the other.

    Args:
        path: Path of the file.
        head: Its first bytes.
    """

    note = cut = ""
    frames = 0

    def __init__(self, path: str, head: bytes) -> None:
        self._path = path
        self._start = 0
        self._missing_bytes = 0
        self._present_bytes = 0
        self.behind = 0
        self._look(head)

    def first(self) -> Part:
        """Return the whole file."""
        return Part() if self._next is None else Part(FilePart(self._path, 0, self._next))

    def intact(self, heard: int) -> int:
        """Return all of them."""
        return heard

    def following(self, heard: int, *, failed: bool) -> Part | None:  # noqa: ARG002 - nothing to go on with
        """Return the next file within the file, if there is one."""
        if self._next is None or failed:
            return None
        self._start = self._next
        with Path(self._path).open("rb") as file:
            file.seek(self._start)
            head = file.read(_AU_HEAD)
        self._look(head)
        return Part(FilePart(self._path, self._start, self._next))

    def missing(self, heard: int) -> int:
        """Return how many frames are missing: the missing bytes at the bytes per frame of those that are there."""
        return round(heard * self._missing_bytes / self._present_bytes) if self._present_bytes else 0

    def _look(self, head: bytes) -> None:
        """Compare the header from the present start on with the size of the file."""
        self._next: int | None = None
        size = Path(self._path).stat().st_size
        with Path(self._path).open("rb") as file:
            found = extent(file, head, self._start)
            if found is None:
                return
            missing = found.start + found.length - size
            self._present_bytes += min(found.length, max(0, size - found.start))
            self._missing_bytes += missing if missing > _FEW_BYTES else 0
            file.seek(found.end)
            behind = file.read(_AU_HEAD)
            rest = size - found.end
        same_kind = behind[:4] == head[:4] and (head.startswith(b".snd") or behind[8:12] == head[8:12])
        if same_kind:
            self._next = found.end
        elif rest > _MUCH_BEHIND and behind.strip(b"\0") and not behind.startswith((*TAGS, *_CHUNKS)):
            self.behind = rest
