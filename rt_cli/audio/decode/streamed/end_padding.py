"""The padding at the end of an MP3 that comes as a stream: libav takes it off files only. Pure."""

from __future__ import annotations

import io

from rt_cli.audio.decode.plan.mp3 import scan
from rt_cli.audio.format import BYTES_PER_SAMPLE

_DECODER_DELAY = 529
"""Samples by which every decoder is late; libav takes them off at the start, and of the padding."""
_ROUNDING = 2


class EndPadding:
    """Holds back as much as may be padding, and lets it go where it is sound: an encoder may have counted wrongly.

    Args:
        head: The first bytes of the MP3.
        wire_rate_hz: Rate of the PCM.
    """

    def __init__(self, head: bytes, wire_rate_hz: int) -> None:
        self._sound = self._whole = 0
        self._passed = 0
        self._held = b""
        runs = scan(io.BytesIO(head)).runs
        if not runs or (info := runs[0].info) is None or not info.delay_at or not info.count:
            return
        whole = info.count * runs[0].samples - info.delay - _DECODER_DELAY
        padding = info.padding - _DECODER_DELAY
        if padding > 0:
            self._whole = round(whole * wire_rate_hz / runs[0].rate_hz)
            self._sound = round((whole - padding) * wire_rate_hz / runs[0].rate_hz)

    def push(self, pcm: bytes) -> bytes:
        """Take decoded sound, int16 mono at the wire rate; return what is no padding."""
        self._held += pcm
        size = max(0, len(self._held) - (self._whole - self._sound + _ROUNDING) * BYTES_PER_SAMPLE)
        return self._take(size)

    def end(self) -> bytes:
        """Return what is left, without the padding if there is as much sound as the head announced."""
        total = self._passed + len(self._held) // BYTES_PER_SAMPLE
        if abs(total - self._whole) <= _ROUNDING:
            return self._take(max(0, self._sound - self._passed) * BYTES_PER_SAMPLE)
        return self._take(len(self._held))

    def _take(self, size: int) -> bytes:
        taken, self._held = self._held[:size], self._held[size:]
        self._passed += len(taken) // BYTES_PER_SAMPLE
        return taken
