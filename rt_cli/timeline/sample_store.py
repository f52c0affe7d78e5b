"""The samples of the tape: the newest in memory, older unsettled ones in temporary files."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import islice
from typing import IO

from rt_cli.audio.format import BYTES_PER_SAMPLE, silence

_PIECE_BYTES = 1 << 18
"""Bytes per write to disk. A smaller value would mean one write per chunk."""
_FILE_BYTES = 1 << 26
"""Length at which a new file is started, so that deleting old files frees disk space."""


class _SpillFile:
    """A temporary file of pieces. The file is deleted when its last piece is released."""

    def __init__(self) -> None:
        import tempfile

        self.end = 0
        self.pieces = 0
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="rt-tape-", buffering=0)  # noqa: SIM115 - lives as long as its pieces

    def add(self, data: bytes) -> int:
        """Write a piece and return its offset. If OSError is raised, the next write overwrites the partial piece."""
        self._file.seek(self.end)
        with memoryview(data) as left:
            written = 0
            # A nearly full disk first writes only a part; the next write raises the error.
            while written < len(left):
                written += self._file.write(left[written:])
        offset, self.end = self.end, self.end + written
        self.pieces += 1
        return offset

    def read(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        data = self._file.read(size)
        if len(data) < size:
            raise OSError(f"a temporary file gave {len(data)} of {size} bytes back")
        return data

    def release_piece(self) -> None:
        self.pieces -= 1
        if not self.pieces:
            self._file.close()

    def close(self) -> None:
        self._file.close()


@dataclass(slots=True)
class _Piece:
    """Samples without a gap, either in ``data`` or at byte ``offset`` of ``file``."""

    start: int
    end: int
    data: bytes
    file: _SpillFile | None = None
    offset: int = 0

    def read(self, start: int, end: int) -> bytes:
        at, size = (start - self.start) * BYTES_PER_SAMPLE, (end - start) * BYTES_PER_SAMPLE
        if self.file is not None:
            return self.file.read(self.offset + at, size)
        return self.data[at : at + size]


class SampleStore:
    """Samples by their position on the timeline: appended at the end, released at the start.

    Skipped positions read as silence and use neither memory nor disk.

    Args:
        memory: Most samples in memory; beyond this the oldest go to a file. One chunk always fits.
        limit: Most samples in memory and files together.
    """

    def __init__(self, *, memory: int, limit: int) -> None:
        self.end = 0
        """Position after the last sample."""
        self._memory_limit = memory * BYTES_PER_SAMPLE
        self._limit = limit * BYTES_PER_SAMPLE
        self._pieces: list[_Piece] = []
        self._disk_pieces = 0
        """Number of pieces in files. They are the first ones of the list."""
        self._memory_bytes = 0
        self._stored_bytes = 0
        self._file: _SpillFile | None = None

    def append(self, pcm: bytes) -> bool:
        """Append samples at the end, all of them or none.

        Returns:
            False if the limit is reached or the write to disk fails. The store then skips the new samples and keeps
            all earlier ones.
        """
        start, size = self.end, len(pcm)
        self.end += size // BYTES_PER_SAMPLE
        if self._stored_bytes + size > self._limit:
            return False
        if self._memory_bytes + size > self._memory_limit and not self._make_room(size):
            return False
        if size:
            self._pieces.append(_Piece(start, self.end, pcm))
        self._memory_bytes += size
        self._stored_bytes += size
        return True

    def skip(self, samples: int) -> None:
        """Append a gap at the end."""
        self.end += samples

    def read(self, start: int, end: int) -> bytes:
        """Return the samples of ``[start, end)``, ``2 * (end - start)`` bytes. Released positions read as silence.

        Raises:
            OSError: Reading from a temporary file fails.
        """
        if self._pieces and (newest := self._pieces[-1]).start <= start and end <= newest.end:
            return newest.read(start, end)
        parts: list[bytes] = []
        at = start
        for index in range(max(0, bisect_right(self._pieces, start, key=_start_of) - 1), len(self._pieces)):
            piece = self._pieces[index]
            if piece.start >= end:
                break
            if piece.end <= at:
                continue
            first, last = max(at, piece.start), min(end, piece.end)
            parts += [silence(first - at), piece.read(first, last)]
            at = last
        return b"".join([*parts, silence(end - at)])

    def release(self, upto: int) -> None:
        """Release the pieces that end at or before ``upto``."""
        count = 0
        while count < len(self._pieces) and self._pieces[count].end <= upto:
            self._release_piece(self._pieces[count])
            count += 1
        del self._pieces[:count]
        self._disk_pieces = max(0, self._disk_pieces - count)

    def close(self) -> None:
        """Release all samples and close the files."""
        self.release(self.end)
        if self._file is not None:
            self._file.close()
            self._file = None

    def _release_piece(self, piece: _Piece) -> None:
        self._stored_bytes -= (piece.end - piece.start) * BYTES_PER_SAMPLE
        self._memory_bytes -= len(piece.data)
        if piece.file is not None:
            piece.file.release_piece()
            if piece.file is self._file and not piece.file.pieces:
                self._file = None

    def _make_room(self, size: int) -> bool:
        """Write the oldest pieces to disk until ``size`` more bytes fit into memory. False if a write fails."""
        try:
            while self._memory_bytes and self._memory_bytes + size > self._memory_limit:
                self._spill()
        except OSError:
            return False
        return True

    def _spill(self) -> None:
        """Join the oldest pieces in memory and write them to disk as one piece."""
        if self._file is None or self._file.end >= _FILE_BYTES:
            self._file = _SpillFile()
        oldest = self._oldest_in_memory()
        data = b"".join(piece.data for piece in oldest)
        offset = self._file.add(data)
        spilled = _Piece(oldest[0].start, oldest[-1].end, b"", self._file, offset)
        self._pieces[self._disk_pieces : self._disk_pieces + len(oldest)] = [spilled]
        self._memory_bytes -= len(data)
        self._disk_pieces += 1

    def _oldest_in_memory(self) -> list[_Piece]:
        """The oldest piece in memory and its neighbours without a gap, up to ``_PIECE_BYTES`` in all."""
        oldest: list[_Piece] = []
        size = 0
        for piece in islice(self._pieces, self._disk_pieces, None):
            size += len(piece.data)
            if oldest and (size > _PIECE_BYTES or piece.start != oldest[-1].end):
                break
            oldest.append(piece)
        return oldest


def _start_of(piece: _Piece) -> int:
    return piece.start
