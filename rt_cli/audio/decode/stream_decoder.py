"""Converts bytes of raw PCM or of a WAV stream to PCM at the wire rate. Pure."""

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
    """Converts PCM of one layout to s16le at the wire rate. The output does not depend on how the input is split.

    Args:
        layout: Layout of the input.
        wire_rate_hz: Rate of the output.
        pick: The channels to use.
        label: Name of the input for errors, with a space at its end.

    Raises:
        AudioError: The input does not have the channel, or its rate is out of range.
    """

    def __init__(self, layout: PcmLayout, wire_rate_hz: int, pick: Pick = "mix", label: str = "") -> None:
        check(layout.channels, pick, label)
        check_rate(layout.rate_hz)
        self.tail_bytes = 0
        """Bytes at the end that are no whole frame and are not converted; set by :meth:`flush`."""
        self._layout = layout
        self._wire_rate_hz = wire_rate_hz
        self._pick = pick
        self.verbatim = layout == PcmLayout("s16le", wire_rate_hz, 1)
        """True if the output equals the input."""
        self._resampler: Resampler | None = None
        self._rest = b""

    def push(self, data: bytes) -> bytes:
        """Convert the next bytes to s16le at the wire rate: mono, or two interleaved channels for ``split``."""
        data = self._rest + data if self._rest else data
        whole = len(data) - len(data) % self._layout.frame_bytes
        self._rest = data[whole:]
        if self.verbatim or not whole:
            return data[:whole]
        if self._resampler is None:  # created late, because it imports numpy
            self._resampler = Resampler(self._layout.rate_hz, self._wire_rate_hz, width(self._pick))
        return self._resampler.push(decode(data[:whole], self._layout, self._pick))

    def flush(self) -> bytes:
        """Return the rest of the output at the end of the input. A second call returns no bytes."""
        self.tail_bytes, self._rest = len(self._rest), b""
        return self._resampler.flush() if self._resampler is not None else b""


class StreamDecoder:
    """Decodes WAV if the input has a WAV header, else raw PCM. The output does not depend on how the input is split.

    Args:
        raw: Layout of raw PCM. A WAV header overrides it.
        wire_rate_hz: Rate of the output.
        pick: The channels to use.

    Raises:
        AudioError: From every method: the input cannot be decoded.
    """

    def __init__(self, raw: PcmLayout, wire_rate_hz: int, pick: Pick = "mix") -> None:
        self.layout = raw
        """Layout of the input: ``raw`` until a WAV header is read."""
        self.bytes_in = 0
        """Bytes pushed so far, header included."""
        self._wire_rate_hz = wire_rate_hz
        self._pick = pick
        self._head: bytes | None = b""
        self._wav: WavParser | None = None
        self._converter: PcmConverter | None = None

    @property
    def tail_bytes(self) -> int:
        """Bytes at the end that are no whole frame and are not decoded; set by :meth:`finish`."""
        return self._converter.tail_bytes if self._converter is not None else 0

    @property
    def ended(self) -> bool:
        """True if the WAV header states the length of the audio and all of it has been pushed."""
        return self._wav is not None and self._wav.ended

    def push(self, data: bytes) -> bytes:
        """Convert the next bytes to s16le at the wire rate: mono, or two interleaved channels for ``split``."""
        self.bytes_in += len(data)
        if self._head is None:
            return self._push_body(data)
        self._head += data
        return self._sniff() if len(self._head) >= _MAGIC_BYTES else b""

    def finish(self) -> bytes:
        """Return the rest of the output at the end of the input."""
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
