"""Where a stream should end, by its own account: what is padding there, and whether it was cut. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.audio.decode.diagnose import cut_error
from rt_cli.audio.decode.plan.ogg import MAGIC
from rt_cli.audio.decode.streamed.end_padding import EndPadding

if TYPE_CHECKING:
    from rt_cli.errors import AudioError

_PAGE_HEAD = 27
_FLAGS_AT, _SERIAL_AT, _SEGMENTS_AT = 5, 14, 26
_BEGIN, _END = 2, 4


class StreamEnd:
    """The end of a format that libav itself checks, or of which nothing is known."""

    def see(self, data: bytes) -> None:
        """Take the next bytes of the stream, before their sound is pushed."""

    def push(self, pcm: bytes, lost: int = 0) -> bytes:  # noqa: ARG002 - padding is only at the end
        """Take decoded sound and the samples lost before it; return what is no padding."""
        return pcm

    def rest(self) -> bytes:
        """Return the sound that was held back."""
        return b""

    def error(self, heard_s: float) -> AudioError | None:  # noqa: ARG002 - the position in the message
        """Return the error of a stream that was cut after so many seconds of sound; None if it was not."""
        return None


class Mp3End(StreamEnd):
    """The frame without sound at the start counts the others and their padding.

    Args:
        wire_rate_hz: Rate of the PCM.
        channels: Number of its interleaved channels.
    """

    def __init__(self, wire_rate_hz: int, channels: int) -> None:
        self._padding = EndPadding(wire_rate_hz, channels)

    def see(self, data: bytes) -> None:
        """Find the first frame."""
        self._padding.see(data)

    def push(self, pcm: bytes, lost: int = 0) -> bytes:
        """Hold back as much as may be padding."""
        return self._padding.push(pcm, lost)

    def rest(self) -> bytes:
        """Return the sound that was held back, without the padding."""
        return self._padding.end()

    def error(self, heard_s: float) -> AudioError | None:
        """Compare the sound with the count."""
        return self._padding.error(heard_s)


class OggEnd(StreamEnd):
    """The last page of each stream has a mark. Of streams side by side nothing is said: one may be pictures."""

    def __init__(self) -> None:
        self._head = b""
        """The head of a page that is not all here."""
        self._skip = 0
        """Bytes of the body of a page that are still to come."""
        self._open: set[bytes] = set()
        self._mixed = False

    def see(self, data: bytes) -> None:
        """Follow the pages, from head to head."""
        data = self._head + data
        at = self._skip
        while at + _PAGE_HEAD <= len(data):
            if data[at : at + len(MAGIC)] != MAGIC:
                found = data.find(MAGIC, at + 1)
                at = found if found >= 0 else len(data) - len(MAGIC) + 1
                continue
            laces = at + _PAGE_HEAD + data[at + _SEGMENTS_AT]
            if laces > len(data):
                break
            self._take(data[at + _FLAGS_AT], data[at + _SERIAL_AT : at + _SERIAL_AT + 4])
            at = laces + sum(data[at + _PAGE_HEAD : laces])
        self._head = data[at:]
        self._skip = max(0, at - len(data))

    def error(self, heard_s: float) -> AudioError | None:
        """Look whether the last page was there, and all of it."""
        if self._mixed or not (self._open or self._skip or self._head.startswith(MAGIC)):
            return None
        return cut_error(heard_s, "the page that ends the stream is missing")

    def _take(self, flags: int, serial: bytes) -> None:
        if flags & _BEGIN:
            self._mixed = self._mixed or bool(self._open - {serial})
            self._open.add(serial)
        if flags & _END:
            self._open.discard(serial)


def ending_of(kind: str, wire_rate_hz: int, channels: int) -> StreamEnd:
    """Return what watches the end of a stream of this format."""
    if kind == "MP3":
        return Mp3End(wire_rate_hz, channels)
    return OggEnd() if kind == "Ogg" else StreamEnd()
