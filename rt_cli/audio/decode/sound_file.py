"""FLAC, Ogg, MP3, AIFF and others by libsndfile, in the parts of a plan."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from rt_cli.audio.channels import check, width
from rt_cli.audio.decode.diagnose import TOLERANCE_S, behind_error, cut_error, decode_error, missing_error, no_audio
from rt_cli.audio.decode.wav_file import BLOCK_BYTES, BLOCK_S
from rt_cli.audio.microphone.native_stderr import off_stderr
from rt_cli.audio.mix_check import MixCheck
from rt_cli.audio.resample import Resampler
from rt_cli.audio.source import Block
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from rt_cli.audio.channels import Pick
    from rt_cli.audio.decode.plan.file_part import FilePart
    from rt_cli.audio.decode.plan.plan import DecodePlan, Part

_MP3_FRAMES = 1152
_NO_LENGTH = 1 << 62
"""libsndfile returns such a number of frames, or a larger one, if the length is unknown."""


class SoundFileDecoder:
    """A decoder by libsndfile.

    Args:
        path: Path of the file.
        plan: Its parts.
        wire_rate_hz: Rate of the output.
        pick: The channels to use.
        quiet: The decoder of the format prints nothing on stderr.

    Raises:
        LibsndfileError: libsndfile cannot open the file.
        AudioError: The file has no audio, not the channel, or a rate out of range.
    """

    def __init__(self, path: str, plan: DecodePlan, wire_rate_hz: int, pick: Pick, *, quiet: bool) -> None:
        self._path = path
        self._plan = plan
        self._wire_rate_hz = wire_rate_hz
        self._pick = pick
        self.mix_check = MixCheck()
        self._quiet = quiet
        self._sound: Any = None
        self._file: FilePart | None = None
        self._failure: AudioError | None = None
        self._part_failure: AudioError | None = None
        self._ended = False
        self._position = 0
        """Frames of the file so far, at the rate of the present part, holes included."""
        self._written = 0
        """Samples of the output so far, holes included."""
        self._lost = 0
        """Samples of the output lost before the next block."""
        self._heard_any = False
        self._count = 0
        """Position by the count that Ogg pages have, at the end of the part before."""
        part = plan.first()
        try:
            self._open(part)
        except BaseException:
            self.close()
            raise
        self.warnings = [("length", plan.note)] if plan.note else []
        """Warnings for the user, as code and text, that nobody has taken yet."""
        frames = plan.frames or (self._part_frames if part.file is None else 0)
        self.duration_s = frames / self.rate_hz if 0 < frames < _NO_LENGTH else None

    def read(self) -> Block | None:
        """Return the next block, some seconds long; None at the end.

        Raises:
            AudioError: The file is damaged. All audio that can be decoded has been returned.
        """
        while not self._ended:
            if self._part_ended:
                self._advance()
                continue
            self._part_failure = self._fill()
            if pcm := self._convert():
                return self._block(pcm)
        if self._lost:
            return self._block(b"")
        if self._failure is not None:
            raise self._failure
        return None

    def close(self) -> None:
        """Close the file."""
        if self._sound is not None:
            self._sound.close()
        if self._file is not None:
            self._file.close()

    def _block(self, pcm: bytes) -> Block:
        block = Block(pcm, self._lost, "damaged")
        self._written += self._lost + len(pcm) // (2 * width(self._pick))
        self._lost = 0
        return block

    def _open(self, part: Part) -> None:
        """Open a part and prepare its first read."""
        import numpy as np
        import soundfile

        self._file = part.file
        # The path as bytes, because soundfile cannot encode a name that is not valid text.
        name = os.fsencode(self._path) if os.name == "posix" else self._path
        with nullcontext() if self._quiet else off_stderr():
            self._sound = sound = soundfile.SoundFile(part.file or name)
        if sound.frames == 0 and not self._heard_any:
            raise no_audio()
        check(sound.channels, self._pick)
        if self._written and sound.samplerate != self.rate_hz:
            self._position = round(self._written * sound.samplerate / self._wire_rate_hz)
        self.rate_hz: int = sound.samplerate
        self.channels: int = sound.channels
        # soundfile seeks after every read of a seekable file, which fails on a FLAC without a length.
        sound.seekable = lambda: False
        self._resampler = Resampler(self.rate_hz, self._wire_rate_hz, width(self._pick))
        self._verbatim = sound.subtype == "PCM_16" and self.channels == 1 and self.rate_hz == self._wire_rate_hz
        kind = np.dtype("<i2" if self._verbatim else np.float32)
        widest = self.channels * kind.itemsize * (1 if self._verbatim else 2)
        frames = max(1, min(self.rate_hz * BLOCK_S, BLOCK_BYTES // widest))
        self._buffer = np.empty((frames, self.channels), kind)
        # A failed read of a damaged MP3 loses all its frames, so read one MP3 frame at a time.
        self._step = _MP3_FRAMES if sound.format == "MP3" else frames
        self._part_frames: int = sound.frames
        self._frames_read = self._filled = 0
        self._part_ended = False
        self._part_failure = None
        self._part = part
        self._locate(part)

    def _fill(self) -> AudioError | None:
        """Read the next frames into the buffer. Returns the error if the decoder cannot go on."""
        import soundfile

        self._filled = 0
        while self._filled < len(self._buffer):
            buffer = self._buffer[self._filled : self._filled + self._step]
            failure = None
            try:
                frames = len(self._sound.read(out=buffer))
            except soundfile.LibsndfileError as error:
                frames = min(self._frames_before_failure(), len(buffer))
                frames = max(0, self._plan.intact(self._frames_read + frames) - self._frames_read)
                failure = decode_error((self._position + frames) / self.rate_hz, error.error_string)
                failure.__cause__ = error
            self._frames_read += frames
            self._filled += frames
            self._position += frames
            if failure is not None or frames == 0:
                self._part_ended = True
                return failure
        return None

    def _frames_before_failure(self) -> int:
        """Number of frames that the failed read has written to the buffer."""
        import soundfile

        try:
            return max(0, int(self._sound.tell()) - self._frames_read)
        except soundfile.LibsndfileError:
            return 0

    def _convert(self) -> bytes:
        block = self._buffer[: self._filled]
        self._heard_any = self._heard_any or self._filled > 0
        if self._verbatim:
            pcm = bytes(block.tobytes())
            self.mix_check.take_pcm(pcm)
            return pcm
        pcm = self._resampler.push(self.mix_check.choose(block, self._pick, self.rate_hz)) if self._filled else b""
        return pcm + self._resampler.flush() if self._part_ended else pcm

    def _advance(self) -> None:
        """Open what is behind the present part, or end."""
        import soundfile

        heard, failed = self._frames_read, self._part_failure is not None
        if self._file is not None and self._file.failure is not None:
            self._end(AudioError("cannot be read", self._file.failure.strerror))
            return
        expected = self._part.expected
        if expected is not None and expected - heard > TOLERANCE_S * self.rate_hz and not failed:
            self._lose(expected - heard)
        self._count += heard
        part = self._plan.following(heard, failed=failed)
        if part is None:
            self._end(self._verdict())
            return
        self.close()
        self._sound = self._file = None
        self._lose(part.lost)
        try:
            self._open(part)
        except soundfile.LibsndfileError as error:
            self._part_failure = decode_error(self._position / self.rate_hz, error.error_string)
            self._frames_read = 0
            self._part, self._part_ended = part, True

    def _end(self, failure: AudioError | None) -> None:
        self._ended, self._failure = True, failure

    def _verdict(self) -> AudioError | None:
        """Compare what was heard with what the file announces."""
        if self._position == 0:
            return no_audio()
        at_s = self._position / self.rate_hz
        missing_s = self._plan.missing(self._position) / self.rate_hz
        if missing_s > TOLERANCE_S:
            return missing_error(at_s, missing_s)
        complete = 0 < self._plan.frames <= self._position
        if self._part_failure is not None and not complete:
            return self._part_failure
        if self._plan.cut:
            return cut_error(at_s, self._plan.cut)
        return behind_error(at_s, self._plan.behind) if self._plan.behind else None

    def _lose(self, frames: int) -> None:
        """Add a hole at the present position."""
        self._position += max(0, frames)
        end = round(self._position * self._wire_rate_hz / self.rate_hz)
        self._lost = max(self._lost, end - self._written) if frames > 0 else self._lost

    def _locate(self, part: Part) -> None:
        """Find the hole before a part by the count of its pages."""
        frames = self._part_frames
        if part.end is None or not 0 < frames < _NO_LENGTH:
            return
        start = round(part.end * self.rate_hz / (part.end_rate_hz or self.rate_hz)) - frames
        if part.follows:
            self._lose(start - self._count)
        self._count = start
