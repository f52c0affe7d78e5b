"""Bytes of raw PCM or of a WAV stream in, PCM at the wire rate out. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.audio.channels import check, width
from rt_cli.audio.decode.wav_stream import MAGICS, WavParser
from rt_cli.audio.pcm import PcmLayout, decode
from rt_cli.audio.resample import Resampler, check_rate
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from rt_cli.audio.channels import Pick

_MAGIC_BYTES = 4
_COMPRESSED = {b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3\x03": "MP3", b"ID3\x04": "MP3", b"caff": "CAF", b"FORM": "AIFF"}


class PcmConverter:
    """PCM of one layout in, s16le at the wire rate out. Any split of the bytes gives the same sound.

    Args:
        layout: How the bytes are read.
        wire_rate_hz: Of the output.
        pick: Which channels are heard.
        spoken: What the input is called, and a space.

    Raises:
        AudioError: The channel is not there, or the rate is out of range.
    """

    def __init__(self, layout: PcmLayout, wire_rate_hz: int, pick: Pick = "mix", spoken: str = "") -> None:
        check(layout.channels, pick, spoken)
        check_rate(layout.rate_hz)
        self.tail_bytes = 0
        """Bytes at the end that made no whole frame and were left out; known after :meth:`flush`."""
        self._layout = layout
        self._wire_rate_hz = wire_rate_hz
        self._pick = pick
        self.verbatim = layout == PcmLayout("s16le", wire_rate_hz, 1)
        """Whether what goes in comes out."""
        self._resampler: Resampler | None = None
        self._rest = b""

    def push(self, data: bytes) -> bytes:
        """Take the next bytes, give s16le at the wire rate: mono, or two channels interleaved for ``split``."""
        data = self._rest + data if self._rest else data
        whole = len(data) - len(data) % self._layout.frame_bytes
        self._rest = data[whole:]
        if self.verbatim or not whole:
            return data[:whole]
        if self._resampler is None:  # not before it is needed: it brings numpy
            self._resampler = Resampler(self._layout.rate_hz, self._wire_rate_hz, width(self._pick))
        return self._resampler.push(decode(data[:whole], self._layout, self._pick))

    def flush(self) -> bytes:
        """The input has ended: give the rest. A second call gives nothing."""
        self.tail_bytes, self._rest = len(self._rest), b""
        return self._resampler.flush() if self._resampler is not None else b""


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
        self.bytes_in = 0
        """Pushed so far, header included."""
        self._wire_rate_hz = wire_rate_hz
        self._pick = pick
        self._head: bytes | None = b""
        self._wav: WavParser | None = None
        self._converter: PcmConverter | None = None

    @property
    def tail_bytes(self) -> int:
        """Bytes at the end that made no whole frame and were left out; known after :meth:`finish`."""
        return self._converter.tail_bytes if self._converter is not None else 0

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
        return pcm + self._converter.flush() if self._converter is not None else pcm

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
        if not data:
            return b""
        if self._converter is None:
            self._converter = PcmConverter(self.layout, self._wire_rate_hz, self._pick, "the input ")
        return self._converter.push(data)
