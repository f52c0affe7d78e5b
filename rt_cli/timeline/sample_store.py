"""The bytes of the tape: memory for the newest minute, temporary files for what is older and still needed."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import islice
from typing import IO

from rt_cli.audio.format import BYTES_PER_SAMPLE, silence

_PIECE_BYTES = 1 << 18
"""Written to disk at a time; less would mean a write for every chunk."""
_FILE_BYTES = 1 << 26
"""A file that is as long as this gets no longer, so that the disk gets back what was let go."""


class _SpillFile:
    """A temporary file that pieces are added to; gone when the last of them is let go."""

    def __init__(self) -> None:
        import tempfile

        self.end = 0
        self.pieces = 0
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="rt-tape-", buffering=0)  # noqa: SIM115 - lives as long as its pieces

    def add(self, data: bytes) -> int:
        """Write a piece; returns its offset. After OSError the file is as it was before."""
        self._file.seek(self.end)
        with memoryview(data) as left:
            written = 0
            # A disk that is nearly full takes less than it is given, and only refuses the next write.
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

    def let_go(self) -> None:
        self.pieces -= 1
        if not self.pieces:
            self._file.close()

    def close(self) -> None:
        self._file.close()


@dataclass(slots=True)
class _Piece:
    """Samples without a gap; in ``data``, as they came, or at ``offset`` of ``file``."""

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
    """Samples by their position on the timeline; appended at one end, let go at the other.

    Positions that were skipped read as silence and cost nothing.

    Args:
        memory: Samples kept in memory before the oldest go to a file; one chunk always fits.
        limit: Samples kept in all.
    """

    def __init__(self, *, memory: int, limit: int) -> None:
        self.end = 0
        """Position after the last sample."""
        self._memory = memory * BYTES_PER_SAMPLE
        self._limit = limit * BYTES_PER_SAMPLE
        self._pieces: list[_Piece] = []
        self._on_disk = 0
        """How many of the pieces, from the first on, are in files."""
        self._in_memory = 0
        self._kept = 0
        self._file: _SpillFile | None = None

    def append(self, pcm: bytes) -> bool:
        """Add samples at the end, all of them or none.

        Returns:
            False where the limit is reached or the disk takes no more: the samples are skipped, all earlier ones kept.
        """
        start, size = self.end, len(pcm)
        self.end += size // BYTES_PER_SAMPLE
        if self._kept + size > self._limit:
            return False
        if self._in_memory + size > self._memory and not self._make_room(size):
            return False
        if size:
            self._pieces.append(_Piece(start, self.end, pcm))
        self._in_memory += size
        self._kept += size
        return True

    def skip(self, samples: int) -> None:
        """Add a gap at the end."""
        self.end += samples

    def read(self, start: int, end: int) -> bytes:
        """The samples of ``[start, end)``, ``2 * (end - start)`` bytes; what was let go reads as silence, too.

        Raises:
            OSError: The disk does not give back what it took.
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
        """Let go of the pieces that end before ``upto``."""
        gone = 0
        while gone < len(self._pieces) and self._pieces[gone].end <= upto:
            self._let_go(self._pieces[gone])
            gone += 1
        del self._pieces[:gone]
        self._on_disk = max(0, self._on_disk - gone)

    def close(self) -> None:
        """Let go of everything, the files included."""
        self.release(self.end)
        if self._file is not None:
            self._file.close()
            self._file = None

    def _let_go(self, piece: _Piece) -> None:
        self._kept -= (piece.end - piece.start) * BYTES_PER_SAMPLE
        self._in_memory -= len(piece.data)
        if piece.file is not None:
            piece.file.let_go()
            if piece.file is self._file and not piece.file.pieces:
                self._file = None

    def _make_room(self, size: int) -> bool:
        """Write the oldest pieces to disk until so many more bytes fit into memory."""
        try:
            while self._in_memory and self._in_memory + size > self._memory:
                self._spill()
        except OSError:
            return False
        return True

    def _spill(self) -> None:
        """Make one piece on disk of the oldest in memory."""
        if self._file is None or self._file.end >= _FILE_BYTES:
            self._file = _SpillFile()
        oldest = self._oldest_in_memory()
        data = b"".join(piece.data for piece in oldest)
        offset = self._file.add(data)
        spilled = _Piece(oldest[0].start, oldest[-1].end, b"", self._file, offset)
        self._pieces[self._on_disk : self._on_disk + len(oldest)] = [spilled]
        self._in_memory -= len(data)
        self._on_disk += 1

    def _oldest_in_memory(self) -> list[_Piece]:
        """At least one piece, and as many behind it without a gap as are written at a time."""
        found: list[_Piece] = []
        size = 0
        for piece in islice(self._pieces, self._on_disk, None):
            size += len(piece.data)
            if found and (size > _PIECE_BYTES or piece.start != found[-1].end):
                break
            found.append(piece)
        return found


def _start_of(piece: _Piece) -> int:
    return piece.start
