"""A WAV file, read by our own parser: without the libraries for other formats, the program starts much faster."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rt_cli.audio.decode.diagnose import TOLERANCE_S, missing_error, no_audio
from rt_cli.audio.decode.stream_decoder import PcmConverter
from rt_cli.audio.decode.wav_stream import BEHIND_BYTES, WavParser, classify
from rt_cli.audio.mix_check import MixCheck
from rt_cli.audio.pcm import PcmLayout, is_low_justified
from rt_cli.audio.source import Block

if TYPE_CHECKING:
    from rt_cli.audio.channels import Pick
    from rt_cli.errors import AudioError

BLOCK_S = 15
BLOCK_BYTES = 1 << 20
"""Limit for a block, both encoded and decoded, so that many channels or a high rate do not use more memory."""
_FLOAT_BYTES = 4
_HEADER_BYTES = 4096
_WRAPPED = 1 << 32
_MANY_CHUNKS = 100_000
_PROBES, _PROBE_BYTES = 64, 1 << 14
_TENTH = 10
"""Less than a tenth of a second that no header counts is no sound."""


class _Region(NamedTuple):
    """A range of the file with sound of one layout."""

    start: int
    end: int
    layout: PcmLayout


class WavFile:
    """A decoder for WAV files with PCM, floating point or G.711, also if the header states no length, or a wrong one.

    Behind the sound that the header counts there may be chunks, another data chunk, more sound, and another WAV.

    Args:
        path: Path of a regular file.
        wire_rate_hz: Rate of the output of :meth:`read`.
        pick: The channels to use.

    Raises:
        WavError: The file is no WAV, or the parser does not support its encoding.
        AudioError: The file has no audio or not the channel, or its rate is out of range.
    """

    def __init__(self, path: str, wire_rate_hz: int, pick: Pick) -> None:
        self._size = Path(path).stat().st_size
        self._wire_rate_hz, self._pick = wire_rate_hz, pick
        self.warnings: list[tuple[str, str]] = []
        """Warnings for the user, as code and text, that nobody has taken yet."""
        self.mix_check = MixCheck()
        self._missing_s = 0.0
        """Seconds that the header announces beyond the end of the file."""
        self._said: str | None = None
        self._regions: list[_Region] = []
        with ExitStack() as stack:
            self._file = stack.enter_context(Path(path).open("rb", buffering=0))
            self._find_regions()
            self._layout = self._regions[0].layout
            self._begin(self._regions[0])
            stack.pop_all()
        self.rate_hz, self.channels = self._layout.rate_hz, self._layout.channels
        self.duration_s: float | None = self._duration_s
        self._next = 1
        self._ended = False
        self._finished = False
        self._read_s = 0.0
        if self._missing_s > TOLERANCE_S:
            self.warnings.append(("truncated", self._shortage().message))

    @property
    def _duration_s(self) -> float:
        return sum((end - start) // layout.frame_bytes / layout.rate_hz for start, end, layout in self._regions)

    def read(self) -> Block | None:
        """Return the next block, some seconds long; None at the end.

        Raises:
            AudioError: The file is shorter than its header says. All audio has been returned.
        """
        while not self._ended:
            data = self._file.read(min(self._block, self._left))
            self._left -= len(data)
            pcm = self._converter.push(data) if data else self._next_region()
            if pcm:
                return Block(pcm)
        if not self._finished:
            self._finished = True
            self._check_end()
        return None

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _begin(self, region: _Region) -> None:
        layout = region.layout
        self._converter = PcmConverter(layout, self._wire_rate_hz, self._pick, mix_check=self.mix_check)
        self._file.seek(region.start)
        self._left = region.end - region.start
        widest = layout.frame_bytes if self._converter.verbatim else layout.frame_bytes + _FLOAT_BYTES * layout.channels
        self._block = max(1, min(layout.rate_hz * BLOCK_S, BLOCK_BYTES // widest)) * layout.frame_bytes

    def _next_region(self) -> bytes:
        """Go on with the next region. Returns the rest of the present one."""
        if self._left or self._next == len(self._regions):
            self._ended = True
            return self._converter.flush()
        region = self._regions[self._next]
        self._next += 1
        if region.layout == self._layout:
            self._file.seek(region.start)
            self._left = region.end - region.start
            return b""
        pcm = self._converter.flush()
        self._layout = region.layout
        self._begin(region)
        return pcm

    def _check_end(self) -> None:
        """Compare what was read with what was there, and what was there with what the header announces."""
        if self._left:
            unread = sum(region.end - region.start for region in self._regions[self._next :]) + self._left
            unread_s = unread / (self._layout.frame_bytes * self._layout.rate_hz)
            if unread_s > TOLERANCE_S:
                raise missing_error(self._duration_s - unread_s, unread_s, "were there when it was opened")
        if self._missing_s > TOLERANCE_S:
            raise self._shortage()

    def _shortage(self) -> AudioError:
        return missing_error(self._duration_s, self._missing_s)

    def _find_regions(self) -> None:
        """Find all sound in the file.

        Raises:
            WavError: The file is no WAV that can be read.
            AudioError: It has no sound.
        """
        at: int | None = 0
        while at is not None:
            at = self._find_region(at)
        self._regions = [each for each in self._regions if each.end - each.start >= each.layout.frame_bytes]
        if not self._regions:
            raise no_audio()

    def _find_region(self, at: int) -> int | None:
        """Read the WAV that begins at a position. Returns the position of the next one behind it."""
        parser = WavParser()
        self._file.seek(at)
        while parser.length is None and not parser.data_start and (data := self._file.read(_HEADER_BYTES)):
            for _ in parser.sounds(data):
                break
        if parser.layout is None or not parser.data_start:
            if self._regions:  # the next WAV is cut off in its header
                return None
            parser.check_header()
            raise no_audio()
        start = at + parser.data_start
        layout = self._with_justification(parser.layout, start)
        length = parser.length
        if length is None and self._chunk_at(start + parser.length_field):
            length = parser.length_field
        if length is None or start + length > self._size:
            self._regions.append(_Region(start, self._size, layout))
            missing = 0 if length is None else start + length - self._size
            self._missing_s = missing / (layout.frame_bytes * layout.rate_hz)
            return None
        wrapped = length + (self._size - start - length) // _WRAPPED * _WRAPPED
        if wrapped > length and (start + wrapped == self._size or self._chunk_at(start + wrapped)):
            self._warn_longer()
            length = wrapped
        self._regions.append(_Region(start, start + length, layout))
        return self._look_behind(start + length, length % 2, layout)

    def _look_behind(self, at: int, padding: int, layout: PcmLayout) -> int | None:
        """Find more sound behind the sound. Returns the position of another WAV, if there is one."""
        for _ in range(_MANY_CHUNKS):
            head = self._head_at(at)
            rest = self._size - at
            found = classify(head, padding=padding, rest=rest)
            at += found.skip
            head = head[found.skip :]
            match found.kind:
                case "wav":
                    return at
                case "chunk":
                    length = int.from_bytes(head[4:8], "little")
                    end = min(self._size, at + 8 + length)
                    if head.startswith(b"data"):
                        self._regions.append(_Region(at + 8, end, layout))
                    at, padding = end, length % 2
                case "sound" if rest * _TENTH >= layout.frame_bytes * layout.rate_hz:
                    # The header counts too little: a recorder that died, or sizes beyond 32 bits.
                    previous = self._regions.pop()
                    self._regions.append(previous._replace(end=self._size))
                    self._warn_longer()
                    return None
                case "text":
                    self.warnings.append(("behind", f"{rest} bytes of text behind the sound are not sent"))
                    return None
                case _:
                    return None
        return None

    def _warn_longer(self) -> None:
        self.warnings.append(("length", "holds more sound than its header says: it is read to its end"))

    def _chunk_at(self, at: int) -> bool:
        padding = at % 2
        return at < self._size and classify(self._head_at(at), padding=padding, rest=self._size - at).kind in {
            "wav",
            "chunk",
        }

    def _head_at(self, at: int) -> bytes:
        self._file.seek(at)
        return self._file.read(BEHIND_BYTES)

    def _with_justification(self, layout: PcmLayout, start: int) -> PcmLayout:
        """Find out which three of four bytes are the sample, from places all over the sound."""
        if layout.encoding != "s24_32le":
            return layout
        step = max(_PROBE_BYTES, (self._size - start) // _PROBES // layout.frame_bytes * layout.frame_bytes)
        for at in range(start, self._size, step):
            self._file.seek(at)
            low = is_low_justified(self._file.read(_PROBE_BYTES))
            if low is not None:
                return layout if low else PcmLayout("s32le", layout.rate_hz, layout.channels)
        return layout
