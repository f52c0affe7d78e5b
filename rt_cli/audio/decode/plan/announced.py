"""How many bytes of sound the header of a file announces: AIFF, AU, CAF, NIST, W64, and WAV of any kind."""

from __future__ import annotations

import math
import os
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from rt_cli.audio.decode.plan.file_part import FilePart
from rt_cli.audio.decode.plan.plan import Part
from rt_cli.audio.decode.recognise import HEAD_BYTES, TAGS, recognise

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_CHUNKS = 10_000
_UNKNOWN_32 = 0x7FFF_0000
"""Lengths from here on, and 0, are placeholders of programs that write into a pipe."""
_UNKNOWN_64 = 1 << 62
_AU_HEAD = 24
_W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_W64_NAMES = (b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a", _W64_RIFF[4:])
"""How the names of its chunks end."""
_NEXT_CAF = b"caff"
_NIST = b"NIST_1A\n"
_NIST_FIELDS = (b"sample_count", b"channel_count", b"sample_n_bytes")
_FEW_BYTES = 64
_MUCH_BEHIND = 4096
_CHUNKS = (b"LIST", b"id3 ")


class Field(NamedTuple):
    """A field that holds a length."""

    at: int
    layout: str
    """See :mod:`struct`."""
    own: int = 0
    """Bytes that it counts beside the sound."""


class Extent(NamedTuple):
    """Where the sound of a file is, as the header states it."""

    start: int
    length: int
    end: int
    """End of the whole structure: what is behind it is not part of this file."""
    field: Field | None = None
    """The field of the length, if a decoder that reads another length there reads on."""
    stated: bool = False
    """The header states the end of the structure, too."""


def extent(file: BinaryIO, head: bytes, start: int = 0) -> Extent | None:
    """Return the extent of the sound; None for other formats, and for an unknown length.

    Args:
        file: The open file.
        head: The first bytes from ``start`` on.
        start: Position of the header in the file.
    """
    if head.startswith(b".snd"):
        return _au(head, start)
    if head.startswith(_NIST):
        return _nist(file, head, start)
    if head.startswith((b"RIFF", b"RIFX")) and head[8:12] == b"WAVE":
        order = ">" if head.startswith(b"RIFX") else "<"
        chunks = _chunks(file, start + 12, f"{order}4sI", 2)
        return _sound_chunk(chunks, {b"data"}, _UNKNOWN_32, start, _riff(head, order), Field(-4, f"{order}I"))
    if head.startswith(b"FORM") and head[8:12] in {b"AIFF", b"AIFC", b"8SVX"}:
        chunks = _chunks(file, start + 12, ">4sI", 2)
        return _sound_chunk(chunks, {b"SSND", b"BODY"}, _UNKNOWN_32, start, _riff(head, ">"))
    if head.startswith(b"caff"):
        chunks = _chunks(file, start + 8, ">4sq", 1)
        return _sound_chunk(chunks, {b"data"}, _UNKNOWN_64, start, 0, Field(-8, ">q"))
    if head.startswith(_W64_RIFF):
        chunks = ((name[:4], at, size - 24) for name, at, size in _chunks(file, start + 40, "<16sq", 8, own=True))
        stated = int.from_bytes(head[16:24], "little")
        return _sound_chunk(chunks, {b"data"}, _UNKNOWN_64, start, stated, Field(-8, "<q", 24))
    return None


def _riff(head: bytes, order: str) -> int:
    length: int = struct.unpack_from(f"{order}I", head, 4)[0]
    return 8 + length if 0 < length < _UNKNOWN_32 else 0


def _au(head: bytes, start: int) -> Extent | None:
    if len(head) < _AU_HEAD:
        return None
    offset, length = struct.unpack_from(">II", head, 4)
    if not 0 < length < _UNKNOWN_32:
        return None
    return Extent(start + offset, length, start + offset + length, Field(start + 8, ">I"))


def _nist(file: BinaryIO, head: bytes, start: int) -> Extent | None:
    """Return the extent by the count of samples. A decoder reads on to the end of the file, or to another header."""
    fields = [re.search(rb"^%s -i (\d{1,18})$" % name, head, re.MULTILINE) for name in _NIST_FIELDS]
    numbers = [int(field[1]) for field in fields if field is not None]
    offset = head[len(_NIST) : 16].strip()
    if len(numbers) < len(_NIST_FIELDS) or not offset.isdigit() or 0 in numbers:
        return None
    first, length = start + int(offset), math.prod(numbers)
    file.seek(first + length)
    if file.read(len(_NIST)) != _NIST:
        length = max(length, file.seek(0, os.SEEK_END) - first)
    return Extent(first, length, first + length)


def _chunks(file: BinaryIO, at: int, layout: str, align: int, *, own: bool = False) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and length of each chunk. ``own``: the length includes the chunk's own head."""
    head = struct.Struct(layout)
    size = file.seek(0, os.SEEK_END)
    for _ in range(_MAX_CHUNKS):
        file.seek(at)
        data = file.read(head.size)
        if len(data) < head.size:
            return
        name, length = head.unpack(data)
        yield name, at + head.size, length
        step = max(length, head.size) if own else head.size + max(0, length)
        at += step + -step % align
        if at > size:
            return


def _sound_chunk(
    chunks: Iterator[tuple[bytes, int, int]],
    names: set[bytes],
    unknown: int,
    start: int,
    stated: int,
    field: Field | None = None,
) -> Extent | None:
    """Find the sound among chunks. ``field``: where its length stands, from the start of the sound on."""
    found: Extent | None = None
    for name, at, length in chunks:
        if name == _NEXT_CAF:
            break
        if name in names and found is None:
            if not 0 < length < unknown:
                return None
            field = field._replace(at=at + field.at) if field else None
            found = Extent(at, length, start + stated if stated else at + length, field, bool(stated))
        elif found is not None and not stated and name.isalnum():
            found = found._replace(end=at + length)
    return found


def _goes_on(behind: bytes, head: bytes, rest: int) -> bool:
    """True if the bytes behind the sound are more sound: no chunk, tag, padding, text or file.

    Args:
        behind: The first of them.
        head: The first bytes of the file.
        rest: Bytes to the end of the file.
    """
    if rest <= _MUCH_BEHIND or not behind.strip(b"\0") or recognise(behind) is not None:
        return False
    for skip in (0, 1):  # a byte of padding
        part = behind[skip:]
        length = int.from_bytes(part[4:12], "big") if head.startswith(b"caff") else _either_order(part[4:8])
        chunk = part[:4].isascii() and part[:4].decode().isprintable() and length <= rest
        if chunk or part.startswith((*TAGS, *_CHUNKS, head[:4])):
            return False
    return not any(name in behind[:32] for name in _W64_NAMES)


def _either_order(length: bytes) -> int:
    return min(int.from_bytes(length, "little"), int.from_bytes(length, "big"))


def missing_sound(path: str, head: bytes) -> int:
    """Return how many bytes of the sound that a header announces are not in the file; 0 for unknown."""
    with Path(path).open("rb") as file:
        found = extent(file, head)
    missing = found.start + found.length - Path(path).stat().st_size if found else 0
    return missing if missing > _FEW_BYTES else 0


def missing_and_behind(path: str, head: bytes) -> tuple[int, int]:
    """Return the result of :func:`missing_sound`, and how many bytes behind the sound may be sound."""
    plan = PlainPlan(path, head)
    return missing_sound(path, head), plan.behind or plan.following_bytes


class PlainPlan:
    """A file in one part, of which only the length is checked; or several such files, one after the other.

    Args:
        path: Path of the file.
        head: Its first bytes.
    """

    cut = ""
    frames = 0

    def __init__(self, path: str, head: bytes) -> None:
        self._path = path
        self._start = 0
        self._missing_bytes = 0
        self._present_bytes = 0
        self.behind = 0
        self.note = ""
        self._look(head)

    @property
    def following_bytes(self) -> int:
        """Bytes from the next file within the file on."""
        return 0 if self._next is None else Path(self._path).stat().st_size - self._next

    def first(self) -> Part:
        """Return the whole file."""
        return Part() if self._next is None and not self._overlay else self._part()

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
            head = file.read(HEAD_BYTES)
        self._look(head)
        return self._part()

    def missing(self, heard: int) -> int:
        """Return how many frames are missing: the missing bytes at the bytes per frame of those that are there."""
        return round(heard * self._missing_bytes / self._present_bytes) if self._present_bytes else 0

    def _part(self) -> Part:
        return Part(FilePart(self._path, self._start, self._next, overlay=self._overlay))

    def _look(self, head: bytes) -> None:
        """Compare the header from the present start on with the size of the file."""
        self._next: int | None = None
        self._overlay: dict[int, bytes] = {}
        size = Path(self._path).stat().st_size
        with Path(self._path).open("rb") as file:
            found = extent(file, head, self._start)
            if found is None:
                return
            found = self._with_all(file, found, head, size)
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

    def _with_all(self, file: BinaryIO, found: Extent, head: bytes, size: int) -> Extent:
        """Return the extent with the sound that the header does not count, and let the decoder read that length."""
        field, end = found.field, found.start + found.length
        last = min(size, found.end) if found.stated and found.end > end else size
        file.seek(end)
        if field is None or not _goes_on(file.read(HEAD_BYTES), head, last - end):
            return found
        length = last - found.start
        try:
            self._overlay = {field.at - self._start: struct.pack(field.layout, length + field.own)}
        except struct.error:  # more than the field can hold
            return found
        self.note = "holds more sound than its header says: it is read to its end"
        return found._replace(length=length, end=last)
