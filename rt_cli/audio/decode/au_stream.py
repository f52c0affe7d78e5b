"""Incremental parser for AU, the format of Sun and NeXT, as programs write it into pipes. Pure."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from rt_cli.audio.pcm import PcmLayout, SampleFormat
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = b".snd"
_HEAD = struct.Struct(">4s5I")
_ENCODINGS: dict[int, SampleFormat] = {
    1: "mulaw",
    2: "s8",
    3: "s16be",
    4: "s24be",
    5: "s32be",
    6: "f32be",
    7: "f64be",
    27: "alaw",
}
_UNKNOWN_FROM = 0x7FFF_0000
_MAX_CHANNELS = 256
_LONGEST_HEAD = 1 << 20


class AuParser:
    """Takes an AU stream in pieces of any size and returns the sound in it. Another AU may follow."""

    def __init__(self) -> None:
        self.layout: PcmLayout | None = None
        self.more_than_stated = False
        self.ignored_bytes = 0
        self._pending = bytearray()
        self._in_data = False
        self._left: int | None = None

    @property
    def missing_bytes(self) -> int:
        """Bytes of the stated length that have not arrived."""
        return (self._left or 0) if self._in_data else 0

    def sounds(self, data: bytes) -> Iterator[tuple[PcmLayout, bytes]]:
        """Parse the next bytes and yield the sound among them.

        Raises:
            AudioError: The header is invalid, or its encoding is not supported.
        """
        self._pending += data
        while self._pending:
            if not self._in_data and not self._read_header():
                return
            if self.layout is None:
                return
            count = len(self._pending) if self._left is None else min(self._left, len(self._pending))
            sound = bytes(self._pending[:count])
            del self._pending[:count]
            if self._left is not None:
                self._left -= count
                self._in_data = self._left > 0
            if sound:
                yield self.layout, sound

    def finish(self) -> Iterator[tuple[PcmLayout, bytes]]:
        """Check the end of the input. Yields nothing: no sound is held back.

        Raises:
            AudioError: The input ends in the header.
        """
        if self.layout is None:
            raise AudioError("the AU header is cut off: there is no sound after it", "check what writes it")
        yield from ()

    def _read_header(self) -> bool:
        """Read the header of the first or the next AU. False if more bytes are needed."""
        if self.layout is not None and not MAGIC.startswith(bytes(self._pending[: len(MAGIC)])):
            # The header counts too little.
            self.more_than_stated, self._in_data, self._left = True, True, None
            return True
        if len(self._pending) < _HEAD.size:
            return False
        _, offset, length, encoding, rate_hz, channels = _HEAD.unpack_from(self._pending)
        if not _HEAD.size <= offset <= _LONGEST_HEAD or not 1 <= channels <= _MAX_CHANNELS:
            raise AudioError("the AU header is damaged", "check what writes it")
        if len(self._pending) < offset:
            return False
        if encoding not in _ENCODINGS:
            hint = "decode it first: ffmpeg -i IN -f wav - | rt ... -"
            raise AudioError(f"this AU cannot be read: encoding {encoding}", hint)
        self.layout = PcmLayout(_ENCODINGS[encoding], rate_hz, channels)
        self._left = length if 0 < length < _UNKNOWN_FROM else None
        self._in_data = True
        del self._pending[:offset]
        return True
