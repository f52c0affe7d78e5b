"""FLAC files whose header states a wrong length, that are damaged, or that are joined."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from rt_cli.audio.decode.plan.file_part import FilePart
from rt_cli.audio.decode.plan.flac_frames import LONGEST_HEADER, first_damaged, frame_number
from rt_cli.audio.decode.plan.plan import Part
from rt_cli.audio.decode.recognise import id3_bytes

MAGIC = b"fLaC"
_HEAD_BYTES = 42
_TOTAL = slice(21, 26)
_TOTAL_BITS = 36
_NEXT_FILES = (MAGIC + b"\0\0\0\x22", MAGIC + b"\x80\0\0\x22")
_READ_BYTES = 1 << 17
_BEHIND_BYTES = 1 << 17
"""How far behind the position of a failed read the damaged frame may begin: libsndfile reads ahead."""
_LONGEST_HOLE_S = 600
"""Numbers of frames beyond this are no numbers, if the header states no length."""


def header_frames(head: bytes) -> int:
    """Number of frames that the header of a FLAC states; 0 for unknown."""
    return int.from_bytes(head[_TOTAL], "big") & ((1 << _TOTAL_BITS) - 1)


class FlacPlan:
    """A FLAC whose header reads as "number of frames unknown".

    libsndfile stops at the number in the header. A file that was joined or cut without a new header has a wrong number,
    and libsndfile would drop the frames beyond it without an error. Behind a damaged frame the next part is the header
    with the frames from the next good one on; behind the last frame it is the next FLAC, if the file has one.

    Args:
        path: Path of the file.
        start: Position of the FLAC in the file: behind an ID3 tag, or 0.
    """

    note = ""
    cut = ""
    behind = 0

    def __init__(self, path: str, start: int = 0) -> None:
        self._path = path
        self._announced = 0
        self._counted = True
        self._done = 0
        """Frames of the present FLAC so far, holes included."""
        self._prefix = b""
        self._begin(start)
        self.frames = self._announced

    def first(self) -> Part:
        """Return the FLAC from its header on."""
        return self._part

    def intact(self, heard: int) -> int:
        """Return how many frames are before the first one whose checksum is wrong: libFLAC decodes some behind it."""
        start = max(self._resumed_at, self._file.furthest - _BEHIND_BYTES)
        with Path(self._path).open("rb") as file:
            file.seek(start)
            data = file.read(self._file.furthest - start + _READ_BYTES)
        position = first_damaged(data, self._block, self._done + heard)
        return heard if position is None else max(0, min(heard, position - self._done))

    def following(self, heard: int, *, failed: bool) -> Part | None:
        """Return what is behind the last frame that was read."""
        self._done += heard
        if failed:
            with Path(self._path).open("rb") as file:
                found = self._next_frame(file)
            if found is not None:
                position, self._resumed_at = found
                lost, self._done = position - self._done, position
                self._file = FilePart(self._path, self._resumed_at, prefix=self._prefix)
                return Part(self._file, lost=lost)
        return self._next_file()

    def missing(self, heard: int) -> int:
        """Return how many frames less than the headers state were heard."""
        return max(0, self._announced - heard) if self._counted else 0

    def _begin(self, start: int) -> None:
        with Path(self._path).open("rb") as file:
            file.seek(start)
            head = file.read(_HEAD_BYTES)
        total = header_frames(head)
        self._counted = self._counted and total > 0
        self._announced += total
        self._first_frame = self._resumed_at = start + _HEAD_BYTES
        self._done = 0
        self._total = total
        self._block = int.from_bytes(head[8:10], "big")
        self._rate_hz = int.from_bytes(head[18:21], "big") >> 4
        unknown = bytes([head[21] & 0xF0, 0, 0, 0, 0]) if len(head) == _HEAD_BYTES else b""
        # The header as the only block.
        self._prefix = MAGIC + b"\x80\0\0\x22" + head[8:21] + unknown + head[26:]
        self._file = FilePart(self._path, start, overlay={_TOTAL.start: unknown})
        self._part = Part(self._file)

    def _next_frame(self, file: BinaryIO) -> tuple[int, int] | None:
        """Find the first frame behind the damage: the position of its first sample, and its place in the file."""
        at = max(self._resumed_at + 1, self._file.furthest - _BEHIND_BYTES)
        while True:
            file.seek(at)
            data = file.read(_READ_BYTES)
            found = data.find(b"\xff")
            while 0 <= found < len(data) - LONGEST_HEADER:
                if (number := frame_number(data, found)) is not None:
                    position = number[0] if number[1] else number[0] * self._block
                    if self._done < position < (self._total or self._done + _LONGEST_HOLE_S * self._rate_hz):
                        return position, at + found
                found = data.find(b"\xff", found + 1)
            if len(data) < _READ_BYTES:
                return None
            at += len(data) - LONGEST_HEADER

    def _next_file(self) -> Part | None:
        """Find the next FLAC in the file."""
        with Path(self._path).open("rb") as file:
            at = max(self._first_frame, self._file.furthest - _BEHIND_BYTES)
            while True:
                file.seek(at)
                data = file.read(_READ_BYTES)
                places = [place for mark in _NEXT_FILES if (place := data.find(mark)) >= 0]
                if places:
                    break
                if len(data) < _READ_BYTES:
                    return None
                at += len(data) - len(_NEXT_FILES[0])
        self._begin(at + min(places))
        return self._part


def flac_start(path: str, head: bytes) -> int | None:
    """Return where the FLAC begins in a file; None if the file is none. Some programs put an ID3 tag before it."""
    if head.startswith(MAGIC):
        return 0
    start = id3_bytes(head)
    if not start:
        return None
    with Path(path).open("rb") as file:
        file.seek(start)
        return start if file.read(len(MAGIC)) == MAGIC else None
