"""Converts bytes of raw PCM or of a WAV stream to PCM at the wire rate. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from rt_cli.audio.channels import check, width
from rt_cli.audio.decode.au_stream import MAGIC as AU_MAGIC
from rt_cli.audio.decode.au_stream import AuParser
from rt_cli.audio.decode.recognise import HEAD_BYTES, is_short_text, recognise
from rt_cli.audio.decode.wav_stream import MAGICS, W64_MAGIC, WavParser
from rt_cli.audio.mix_check import MixCheck
from rt_cli.audio.pcm import PcmLayout, decode, is_low_justified
from rt_cli.audio.resample import Resampler, check_rate
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rt_cli.audio.channels import Pick

_LONGEST_MAGIC = 16


class ForeignFormatError(AudioError):
    """The input is in another format than PCM, WAV and AU.

    Args:
        kind: Name of the format.
        head: All bytes so far.
    """

    def __init__(self, kind: str, head: bytes) -> None:
        self.what = f"{kind}, not PCM or WAV"
        super().__init__(f"the input is {self.what}", _hint(kind), code="not_pcm")
        self.kind = kind
        self.head = head


class PcmConverter:
    """Converts PCM of one layout to s16le at the wire rate. The output does not depend on how the input is split.

    Args:
        layout: Layout of the input.
        wire_rate_hz: Rate of the output.
        pick: The channels to use.
        label: Name of the input for errors, with a space at its end.
        mix_check: Checks the sound for silence.

    Raises:
        AudioError: The input does not have the channel, or its rate is out of range.
    """

    def __init__(
        self,
        layout: PcmLayout,
        wire_rate_hz: int,
        pick: Pick = "mix",
        label: str = "",
        mix_check: MixCheck | None = None,
    ) -> None:
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
        self._mix_check = MixCheck() if mix_check is None else mix_check
        self._justification_known = layout.encoding != "s24_32le"

    def push(self, data: bytes) -> bytes:
        """Convert the next bytes to s16le at the wire rate: mono, or two interleaved channels for ``split``."""
        data = self._rest + data if self._rest else data
        whole = len(data) - len(data) % self._layout.frame_bytes
        self._rest = data[whole:]
        if self.verbatim or not whole:
            self._mix_check.take_pcm(data[:whole])
            return data[:whole]
        if not self._justification_known:
            self._find_justification(data[:whole])
        if self._resampler is None:  # created late, because it imports numpy
            self._resampler = Resampler(self._layout.rate_hz, self._wire_rate_hz, width(self._pick))
        # Without names for what is large: each is freed before the next is made.
        frames = self._mix_check.choose(decode(data[:whole], self._layout), self._pick, self._layout.rate_hz)
        return self._resampler.push(frames)

    def flush(self) -> bytes:
        """Return the rest of the output at the end of the input. A second call returns no bytes."""
        self.tail_bytes, self._rest = len(self._rest), b""
        return self._resampler.flush() if self._resampler is not None else b""

    def _find_justification(self, data: bytes) -> None:
        """Find out which three of four bytes are the sample. Until the sound shows it, the lower ones."""
        low = is_low_justified(data)
        self._justification_known = low is not None
        if low is False:
            self._layout = PcmLayout("s32le", self._layout.rate_hz, self._layout.channels)


class _Parser(Protocol):
    """A parser of a stream with a header."""

    layout: PcmLayout | None
    more_than_stated: bool
    ignored_bytes: int

    @property
    def missing_bytes(self) -> int: ...

    def sounds(self, data: bytes) -> Iterator[tuple[PcmLayout, bytes]]: ...

    def finish(self) -> Iterator[tuple[PcmLayout, bytes]]: ...


class StreamDecoder:
    """Decodes WAV, Wave64 or AU if the input has such a header, else raw PCM. How the input is split does not matter.

    Args:
        raw: Layout of raw PCM. A header overrides it.
        wire_rate_hz: Rate of the output.
        pick: The channels to use.
        recognised: Whether input of any other format is refused; else it is raw PCM, whatever it looks like.

    Raises:
        AudioError: From every method: the input cannot be decoded.
    """

    def __init__(self, raw: PcmLayout, wire_rate_hz: int, pick: Pick = "mix", *, recognised: bool = True) -> None:
        self.layout = raw
        """Layout of the input: ``raw`` until a header is read."""
        self.bytes_in = 0
        """Bytes pushed so far, header included."""
        self.tail_bytes = 0
        """Bytes at the end that are no whole frame and are not decoded; set by :meth:`finish`."""
        self.heard_s = 0.0
        """Seconds of sound pushed so far."""
        self.missing_s = 0.0
        """Seconds that the header announces and that have not arrived; set by :meth:`finish`."""
        self.wire_rate_hz = wire_rate_hz
        self.pick = pick
        self._head: bytes | None = b""
        self._head_bytes = HEAD_BYTES if recognised else _LONGEST_MAGIC
        self.recognises = recognised
        """Whether another format is looked for."""
        self._parser: _Parser | None = None
        self._converter: PcmConverter | None = None
        self.is_headerless = False
        """The input has no header: it is read as raw PCM."""
        self.mix_check = MixCheck()
        """Whether the sound is silence, or the channels cancel each other."""

    @property
    def more_than_stated(self) -> bool:
        """The sound went on behind the length that the header states."""
        return self._parser is not None and self._parser.more_than_stated

    @property
    def ignored_bytes(self) -> int:
        """Bytes of text behind the sound."""
        return self._parser.ignored_bytes if self._parser is not None else 0

    def push(self, data: bytes) -> bytes:
        """Convert the next bytes to s16le at the wire rate: mono, or two interleaved channels for ``split``."""
        self.bytes_in += len(data)
        if self._head is None:
            return self._push_body(data)
        self._head += data
        return self._sniff() if len(self._head) >= self._head_bytes or self._has_header(self._head) else b""

    def finish(self) -> bytes:
        """Return the rest of the output at the end of the input."""
        pcm = self._sniff(at_end=True) if self._head else b""
        if self._parser is not None:
            pcm += b"".join(self._convert(layout, sound) for layout, sound in self._parser.finish())
            self.missing_s = self._parser.missing_bytes / (self.layout.frame_bytes * max(1, self.layout.rate_hz))
        return pcm + self._flush()

    @staticmethod
    def _has_header(head: bytes) -> bool:
        """True if the first bytes are a header that needs no other recognition."""
        wav = head.startswith(MAGICS) and head[8:12] == b"WAVE"
        return wav or head.startswith(W64_MAGIC)

    def _sniff(self, *, at_end: bool = False) -> bytes:
        head, self._head = self._head or b"", None
        if head.startswith((*MAGICS, W64_MAGIC)) and head[8:12] != b"AVI ":
            self._parser = WavParser()
        elif head.startswith(AU_MAGIC):
            self._parser = AuParser()
        elif self.recognises and (kind := recognise(head)) is not None:
            raise ForeignFormatError(kind, head)
        elif self.recognises and at_end and is_short_text(head):
            raise ForeignFormatError("text", head)
        else:
            self.is_headerless = True
        return self._push_body(head)

    def _push_body(self, data: bytes) -> bytes:
        if self._parser is None:
            return self._convert(self.layout, data) if data else b""
        return b"".join([self._convert(layout, sound) for layout, sound in self._parser.sounds(data)])

    def _convert(self, layout: PcmLayout, sound: bytes) -> bytes:
        """Convert sound of one layout. The rest of another layout before it comes first."""
        rest = b""
        if self._converter is not None and layout != self.layout:
            rest = self._flush()
        self.layout = layout
        if self._converter is None:
            self._converter = PcmConverter(layout, self.wire_rate_hz, self.pick, "the input ", self.mix_check)
        self.heard_s += len(sound) / (layout.frame_bytes * layout.rate_hz)
        return rest + self._converter.push(sound)

    def _flush(self) -> bytes:
        if self._converter is None:
            return b""
        pcm = self._converter.flush()
        self.tail_bytes = self._converter.tail_bytes
        self._converter = None
        return pcm


def _hint(kind: str) -> str:
    if kind == "text":
        return "send sound; raw PCM that looks like text needs --encoding"
    return "decode it first: ffmpeg -i IN -f wav - | rt ... -; raw PCM that looks like it needs --encoding"
