"""The end of an MP3 that comes as a stream, by the count at its start: libav reads that of files only. Pure."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from rt_cli.audio.decode.diagnose import TOLERANCE_S, missing_error
from rt_cli.audio.decode.plan.mp3 import scan
from rt_cli.audio.decode.recognise import HEAD_BYTES, tag_bytes
from rt_cli.audio.format import BYTES_PER_SAMPLE

if TYPE_CHECKING:
    from rt_cli.errors import AudioError

_DECODER_DELAY = 529
"""Samples by which every decoder is late; libav takes them off at the start, and of the padding."""
_ROUNDING = 2


class EndPadding:
    """Holds back as much as may be padding, and lets it go where it is sound: an encoder may have counted wrongly.

    Args:
        wire_rate_hz: Rate of the PCM.
        channels: Number of its interleaved channels.
    """

    def __init__(self, wire_rate_hz: int, channels: int = 1) -> None:
        self._rate_hz = wire_rate_hz
        self._frame_bytes = BYTES_PER_SAMPLE * channels
        self._head: bytes | None = b""
        """The first bytes behind the tags, as long as there are too few; then None."""
        self._skip = 0
        """Bytes of a tag that are still to come."""
        self._sound = self._whole = self._announced = 0
        self._passed = self._lost = 0
        self._held = b""

    def see(self, data: bytes) -> None:
        """Take the next bytes of the MP3: tags, which may hold pictures, then the frame that counts the others."""
        if self._head is None:
            return
        self._head += data[self._skip :]
        self._skip = max(0, self._skip - len(data))
        while size := tag_bytes(self._head):
            self._skip += max(0, size - len(self._head))
            self._head = self._head[size:]
        if len(self._head) >= HEAD_BYTES:
            self._count(self._head)
            self._head = None

    def push(self, pcm: bytes, lost: int = 0) -> bytes:
        """Take decoded sound, int16 at the wire rate, and the samples lost before it; return what is no padding."""
        self._look_now()
        self._lost += lost
        self._held += pcm
        size = max(0, len(self._held) - (self._whole - self._sound + _ROUNDING) * self._frame_bytes)
        return self._take(size)

    def end(self) -> bytes:
        """Return what is left, without the padding if there is as much sound as the head announced."""
        if abs(self._total - self._whole) <= _ROUNDING:
            return self._take(max(0, self._sound - self._lost - self._passed) * self._frame_bytes)
        return self._take(len(self._held))

    def error(self, heard_s: float) -> AudioError | None:
        """Return the error if there is less sound than the head announces; None if not, or if it announces nothing."""
        missing_s = (self._announced - self._total) / self._rate_hz
        return missing_error(heard_s, missing_s) if missing_s > TOLERANCE_S else None

    @property
    def _total(self) -> int:
        return self._lost + self._passed + len(self._held) // self._frame_bytes

    def _look_now(self) -> None:
        """Count by what is here: sound comes of fewer bytes than a head where the MP3 is short."""
        if self._head is not None:
            self._count(self._head)
            self._head = None

    def _count(self, head: bytes) -> None:
        runs = scan(io.BytesIO(head)).runs
        if not runs or (info := runs[0].info) is None or not info.count:
            return
        whole = info.count * runs[0].samples - info.delay - _DECODER_DELAY
        to_wire = self._rate_hz / runs[0].rate_hz
        self._announced = round((info.count * runs[0].samples - info.delay - info.padding) * to_wire)
        padding = info.padding - _DECODER_DELAY
        if info.delay_at and padding > 0:
            self._whole = round(whole * to_wire)
            self._sound = round((whole - padding) * to_wire)

    def _take(self, size: int) -> bytes:
        taken, self._held = self._held[:size], self._held[size:]
        self._passed += len(taken) // self._frame_bytes
        return taken
