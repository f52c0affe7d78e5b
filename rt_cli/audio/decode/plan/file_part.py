"""A range of a file that reads like a file of its own, for decoders that only know whole files."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class FilePart(io.RawIOBase):
    """A readable, seekable range of a file.

    Args:
        path: Path of a regular file.
        start: First byte of the range.
        end: End of the range; None for the end of the file.
        prefix: Bytes before the range, such as the header of the file.
        overlay: Bytes that read differently, by their position in this file.
    """

    failure: OSError | None = None
    """The error of a failed read. libsndfile cannot pass it on: exceptions in its callbacks are only printed."""

    def __init__(
        self,
        path: str,
        start: int = 0,
        end: int | None = None,
        *,
        prefix: bytes = b"",
        overlay: Mapping[int, bytes] | None = None,
    ) -> None:
        self._file = Path(path).open("rb", buffering=0)  # noqa: SIM115 - closed by close()
        size = os.fstat(self._file.fileno()).st_size
        self._offset = start - len(prefix)
        self._prefix = prefix
        self._overlay = overlay or {}
        self._size = len(prefix) + max(0, (size if end is None else min(size, end)) - start)
        self._at = 0

    @property
    def furthest(self) -> int:
        """Position in the real file that the last read reached."""
        return self._offset + self._at

    def fileno(self) -> int:
        """Descriptor of the real file."""
        return self._file.fileno()

    def seekable(self) -> bool:
        """Return True."""
        return True

    def readable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Position in the range, its prefix included."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position in the range."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # a buffer of any kind
        """Read into ``buffer``. A read error ends the file and is stored in ``failure``."""
        view = memoryview(buffer).cast("B")
        view = view[: max(0, self._size - self._at)]
        head = self._prefix[self._at : self._at + len(view)]
        view[: len(head)] = head
        count = len(head)
        try:
            if count < len(view):
                self._file.seek(self._at + count + self._offset)
                count += self._file.readinto(view[count:]) or 0
        except OSError as error:
            self.failure = error
            return 0
        if self._overlay:
            self._patch(view[:count])
        self._at += count
        return count

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def _patch(self, view: memoryview) -> None:
        for at, patch in self._overlay.items():
            first, last = max(at, self._at), min(at + len(patch), self._at + len(view))
            if first < last:
                view[first - self._at : last - self._at] = patch[first - at : last - at]
