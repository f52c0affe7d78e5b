"""The samples of the tape: the newest in memory, older unsettled ones in temporary files that a thread writes."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from rt_cli.audio.format import BYTES_PER_SAMPLE, silence
from rt_cli.disk.serial_thread import SerialThread
from rt_cli.timeline.spill import SpillFile

if TYPE_CHECKING:
    from collections.abc import Sequence

_PIECE_BYTES = 1 << 18
"""Bytes per write to disk. A smaller value would mean one write per chunk."""
BACKLOG_BYTES = 1 << 24
"""Most bytes in memory beyond its limit, while the disk is slow or full: almost six minutes at 24 kHz."""
RETRY_S = 0.5
"""Time until the next write to a disk that refused."""


class _Piece(Struct, eq=False):
    """Samples without a gap, either in ``data`` or at byte ``offset`` of ``file``."""

    start: int
    end: int
    data: bytes
    file: SpillFile | None = None
    offset: int = 0
    writing: bool = False
    """A thread writes the piece; until then it is read from ``data``."""
    released: bool = False

    def read(self, start: int, end: int) -> bytes:
        at, size = (start - self.start) * BYTES_PER_SAMPLE, (end - start) * BYTES_PER_SAMPLE
        if self.file is not None:
            return self.file.read(self.offset + at, size)
        return self.data[at : at + size]


class SampleStore:
    """Samples by their position on the timeline: appended at the end, released at the start.

    Skipped positions read as silence and use neither memory nor disk. No method waits for a write.

    Args:
        memory: Most samples in memory; beyond this the oldest go to a file. One chunk always fits.
        limit: Most samples in memory and files together.
        backlog: Most bytes in memory beyond ``memory`` that wait for the disk.
    """

    def __init__(self, *, memory: int, limit: int, backlog: int = BACKLOG_BYTES) -> None:
        self.end = 0
        """Position after the last sample."""
        self.gone = 0
        """Samples before this position left the store to make room, and read as silence."""
        self._memory_limit = memory * BYTES_PER_SAMPLE
        self._limit = limit * BYTES_PER_SAMPLE
        self._backlog = backlog
        self._pieces: list[_Piece] = []
        self._memory_bytes = 0
        self._writing_bytes = 0
        self._stored_bytes = 0
        self._retry_at = 0.0
        self._spill: _Spill | None = None

    def append(self, pcm: bytes, *, spare: int = 0) -> bool:
        """Append samples at the end, all of them or none.

        Args:
            pcm: Whole samples.
            spare: Samples before this position may leave the store if there is no other room.

        Returns:
            False if the limit is reached, or memory is full and the disk refuses or is too slow. The store then skips
            the new samples and keeps all earlier ones.
        """
        start, size = self.end, len(pcm)
        self.end += size // BYTES_PER_SAMPLE
        self._collect_written()
        if not self._has_room(size):
            self._spare(spare, size)
            if not self._has_room(size):
                return False
        if size:
            self._pieces.append(_Piece(start, self.end, pcm))
        self._memory_bytes += size
        self._stored_bytes += size
        self._write_oldest()
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
        self._collect_written()
        count = 0
        while count < len(self._pieces) and self._pieces[count].end <= upto:
            self._release_piece(self._pieces[count])
            count += 1
        del self._pieces[:count]

    def close(self) -> None:
        """Release all samples and close the files. Does not wait for a write: its thread closes the last file."""
        self.release(self.end)
        if self._spill is not None:
            self._spill.close()

    def _has_room(self, size: int) -> bool:
        if self._stored_bytes + size > self._limit:
            return False
        # Without anything in memory there is no older piece that could make room.
        return not self._memory_bytes or self._memory_bytes + size <= self._memory_limit + self._backlog

    def _spare(self, upto: int, size: int) -> None:
        """Let the oldest pieces leave until there is room, but none that ends beyond ``upto``."""
        count = 0
        while count < len(self._pieces) and self._pieces[count].end <= upto and not self._has_room(size):
            self.gone = self._pieces[count].end
            self._release_piece(self._pieces[count])
            count += 1
        del self._pieces[:count]

    def _release_piece(self, piece: _Piece) -> None:
        self._stored_bytes -= (piece.end - piece.start) * BYTES_PER_SAMPLE
        self._memory_bytes -= len(piece.data)
        piece.released = True
        if piece.writing:
            self._writing_bytes -= len(piece.data)
        if piece.file is not None and self._spill is not None:
            self._spill.release(piece.file)

    # -- disk ---------------------------------------------------------------------------------------------------------

    def _write_oldest(self) -> None:
        """Give the oldest pieces to the thread, until what stays in memory is within its limit."""
        if self._memory_bytes - self._writing_bytes <= self._memory_limit or time.monotonic() < self._retry_at:
            return
        self._spill = self._spill or _Spill()
        index = 0
        # The newest piece stays: it is the next one to be read.
        while self._memory_bytes - self._writing_bytes > self._memory_limit and index < len(self._pieces) - 1:
            if not (self._pieces[index].writing or self._pieces[index].file):
                oldest = self._neighbours(index)
                piece = _Piece(oldest[0].start, oldest[-1].end, b"".join(part.data for part in oldest), writing=True)
                self._pieces[index : index + len(oldest)] = [piece]
                self._writing_bytes += len(piece.data)
                self._spill.write(piece)
            index += 1

    def _neighbours(self, index: int) -> Sequence[_Piece]:
        """The piece at ``index`` and those after it without a gap, up to ``_PIECE_BYTES`` in all."""
        end, size = index, 0
        while end < len(self._pieces) - 1:
            piece = self._pieces[end]
            size += len(piece.data)
            apart = end > index and piece.start != self._pieces[end - 1].end
            if end > index and (size > _PIECE_BYTES or apart or piece.writing or piece.file):
                break
            end += 1
        return self._pieces[index:end]

    def _collect_written(self) -> None:
        """Free the memory of what the thread has written; keep what it could not write."""
        while self._spill is not None and (written := self._spill.next_written()) is not None:
            piece, file, offset = written
            if piece.released:
                if file is not None:
                    self._spill.release(file)
                continue
            piece.writing = False
            self._writing_bytes -= len(piece.data)
            if file is None:
                self._retry_at = time.monotonic() + RETRY_S
                continue
            self._memory_bytes -= len(piece.data)
            piece.file, piece.offset, piece.data = file, offset, b""


class _Spill:
    """Writes pieces on a thread, one after the other."""

    def __init__(self) -> None:
        self._thread = SerialThread("rt-tape")
        self._file: SpillFile | None = None
        self._written: deque[tuple[_Piece, SpillFile | None, int]] = deque()

    def write(self, piece: _Piece) -> None:
        """Queue a piece."""
        self._thread.do(partial(self._write, piece, piece.data))

    def next_written(self) -> tuple[_Piece, SpillFile | None, int] | None:
        """Return the next piece that is done, with its file and offset; the file is None if the disk refused."""
        return self._written.popleft() if self._written else None

    def release(self, file: SpillFile) -> None:
        """Release a piece of a file. The thread closes files: it may be writing into this one."""
        self._thread.do(partial(self._release, file))

    def close(self) -> None:
        """Close the files after the last write. Returns at once."""
        self._thread.do(self._close)
        self._thread.close(0)

    # -- on the thread ------------------------------------------------------------------------------------------------

    def _write(self, piece: _Piece, data: bytes) -> None:
        if piece.released:
            self._written.append((piece, None, 0))
            return
        try:
            if self._file is None or self._file.full:
                self._file = SpillFile()
            self._written.append((piece, self._file, self._file.add(data)))
        except OSError:
            self._written.append((piece, None, 0))

    def _release(self, file: SpillFile) -> None:
        if file.release_piece() and file is self._file:
            self._file = None

    def _close(self) -> None:
        for piece, file, _ in self._written:  # nobody collects these any more
            if file is not None and piece.released:
                self._release(file)
        if self._file is not None:
            self._file.close()
            self._file = None


def _start_of(piece: _Piece) -> int:
    return piece.start
