"""Bytes of raw PCM or of a WAV stream in, PCM at the wire rate out. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.audio.channels import check, width
from rt_cli.audio.pcm import PcmLayout, decode
from rt_cli.audio.resample import Resampler
from rt_cli.audio.wav import MAGICS, WavParser
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from rt_cli.audio.channels import Pick

_MAGIC_BYTES = 4
_COMPRESSED = {b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3\x03": "MP3", b"ID3\x04": "MP3", b"caff": "CAF", b"FORM": "AIFF"}


class StreamDecoder:
    """Recognises a WAV by its header, takes anything else for raw PCM. Any split of the bytes gives the same sound.

    Args:
        raw: How raw PCM is to be read; a WAV header overrides it.
        wire_rate_hz: Of the output.
        pick: Which channels are heard.

    Raises:
        AudioError: From every method: the bytes are no sound that can be read.
    """

    def __init__(self, raw: PcmLayout, wire_rate_hz: int, pick: Pick = "mix") -> None:
        self.layout = raw
        """How the bytes are read: ``raw`` until a header says otherwise."""
        self.tail_bytes = 0
        """Bytes at the end that made no whole frame and were left out; known after :meth:`finish`."""
        self.bytes_in = 0
        """Pushed so far, header included."""
        self._wire_rate_hz = wire_rate_hz
        self._pick = pick
        self._head: bytes | None = b""
        self._wav: WavParser | None = None
        self._rest = b""
        self._resampler: Resampler | None = None

    @property
    def ended(self) -> bool:
        """Whether a header announced the length of the sound, and all of it has been pushed."""
        return self._wav is not None and self._wav.ended

    def push(self, data: bytes) -> bytes:
        """Take the next bytes, give s16le at the wire rate: mono, or two channels interleaved for ``split``."""
        self.bytes_in += len(data)
        if self._head is None:
            return self._push_body(data)
        self._head += data
        return self._sniff() if len(self._head) >= _MAGIC_BYTES else b""

    def finish(self) -> bytes:
        """The input has ended: give the rest."""
        pcm = self._sniff() if self._head else b""
        if self._wav is not None:
            self._wav.finish()
        self.tail_bytes, self._rest = len(self._rest), b""
        return pcm + self._resampler.flush() if self._resampler else pcm

    def _sniff(self) -> bytes:
        head, self._head = self._head or b"", None
        magic = head[:_MAGIC_BYTES]
        if magic in _COMPRESSED:
            raise AudioError(
                f"the input is {_COMPRESSED[magic]}, not PCM or WAV",
                "decode it first: ffmpeg -i IN -f wav - | rt ... -",
            )
        if magic in MAGICS:
            self._wav = WavParser()
        return self._push_body(head)

    def _push_body(self, data: bytes) -> bytes:
        if self._wav is not None:
            data = self._wav.push(data)
            self.layout = self._wav.layout or self.layout
        return self._convert(data)

    def _convert(self, data: bytes) -> bytes:
        data = self._rest + data
        whole = len(data) - len(data) % self.layout.frame_bytes
        self._rest = data[whole:]
        if not whole:
            return b""
        if self._resampler is None:
            check(self.layout.channels, self._pick, "the input ")
        if self.layout == PcmLayout("s16le", self._wire_rate_hz, 1):
            return data[:whole]
        if self._resampler is None:
            self._resampler = Resampler(self.layout.rate_hz, self._wire_rate_hz, width(self._pick))
        return self._resampler.push(decode(data[:whole], self.layout, self._pick))
