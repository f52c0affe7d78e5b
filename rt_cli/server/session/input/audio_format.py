"""Conversion between the client's audio format and s16le, the format inside the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.audio.format import pcm16_to_float
from rt_cli.server.replies.interface import OUTPUT_RATE_HZ
from rt_cli.server.session import wire
from rt_cli.server.session.config import G711_RATE_HZ
from rt_cli.server.session.conversation.response import Encoder, PlainPcm

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Literal

    from rt_cli.server.session.config import AudioCoding
    from rt_cli.server.session.conversation.items import Sound


def decode(audio: object, param: str, coding: AudioCoding) -> bytes:
    """Decode a client's audio to s16le at the session's rate.

    Args:
        audio: base64, untrusted.
        param: Its path in the event.
        coding: Coding of the session's input.

    Raises:
        Rejected: The value is not valid audio.
    """
    if coding == "pcm":
        return wire.decode_audio(audio, param)
    from rt_cli.audio import g711

    return g711.decode(wire.decode_audio(audio, param, sample_bytes=1), coding)


def coding(format_: Mapping[str, Any] | None) -> AudioCoding:
    """The coding of a valid ``format`` object; PCM for None."""
    name = (format_ or {}).get("type", "audio/pcm").removeprefix("audio/")
    return "pcmu" if name == "pcmu" else "pcma" if name == "pcma" else "pcm"


def encoder(coding: AudioCoding) -> Encoder:
    """The encoder for the audio of one response."""
    return PlainPcm() if coding == "pcm" else _Telephone(coding)


def encode(sound: Sound, coding: AudioCoding) -> bytes:
    """Encode a whole sound in the client's format; PCM keeps the rate of the sound."""
    pcm = bytes(sound.pcm)
    if coding == "pcm":
        return pcm
    from rt_cli.audio import g711

    if sound.rate_hz == G711_RATE_HZ:
        return g711.encode(pcm, coding)
    telephone = _Telephone(coding, sound.rate_hz)
    return telephone.push(pcm) + telephone.flush()


class _Telephone:
    """s16le to G.711 at 8 kHz."""

    def __init__(self, coding: Literal["pcmu", "pcma"], rate_hz: int = OUTPUT_RATE_HZ) -> None:
        from rt_cli.audio.resample import Resampler

        self._coding = coding
        self._rate_hz = rate_hz
        self._resampler = Resampler(rate_hz, G711_RATE_HZ)

    def push(self, pcm: bytes) -> bytes:
        """Encode a block; about 20 ms stay in the resampler."""
        block = pcm16_to_float(pcm)
        return self._encoded(self._resampler.push(block))

    def flush(self) -> bytes:
        """Return the rest and start a new stream."""
        from rt_cli.audio.resample import Resampler

        rest, self._resampler = self._resampler.flush(), Resampler(self._rate_hz, G711_RATE_HZ)
        return self._encoded(rest)

    def _encoded(self, pcm: bytes) -> bytes:
        from rt_cli.audio import g711

        return g711.encode(pcm, self._coding)
