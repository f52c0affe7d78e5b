"""Sound from files, block by block: WAV, FLAC, OGG, MP3 and what else libsndfile reads, the rest by libav."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from contextlib import nullcontext
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, Protocol

from rt_cli.audio.channels import check, choose, width
from rt_cli.audio.decode.diagnose import broken, cut_short, is_text, missing_bytes, silent, unreadable
from rt_cli.audio.decode.flac import MAGIC as FLAC_MAGIC
from rt_cli.audio.decode.flac import EndlessFlac, promised_frames
from rt_cli.audio.decode.wav_file import BLOCK_BYTES, BLOCK_S, WavFile
from rt_cli.audio.decode.wav_stream import MAGICS, WavError
from rt_cli.audio.microphone.native_stderr import off_stderr
from rt_cli.audio.resample import Resampler
from rt_cli.audio.source import Block, SourceInfo
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rt_cli.audio.channels import Pick
    from rt_cli.audio.source import Warn

_MP3_FRAMES = 1152
_SNIFF_BYTES = 512
_NO_LENGTH = 1 << 62
"""From here on a number of frames is libsndfile's way of saying that it does not know."""
_QUIET = (b"RIFF", b"RF64", b"fLaC", b"OggS")
"""Beginnings of formats whose decoders print nothing; that of MP3 complains on stderr."""


class _Decoder(Protocol):
    """An open file. Every method blocks."""

    rate_hz: int
    channels: int
    duration_s: float | None
    warning: tuple[str, str] | None
    """What a person should know once it is open: a code, and the words."""

    def read(self) -> bytes:
        """s16le at the wire rate, some seconds; empty at the end. Raises AudioError after all there is."""
        ...

    def close(self) -> None: ...


def open_file(path: str | Path, *, wire_rate_hz: int, warn: Warn | None = None, pick: Pick = "mix") -> FileSource:
    """Open a file of sound.

    Args:
        path: Of a regular file.
        wire_rate_hz: Of the blocks.
        warn: Told of a WAV that can be read, but is shorter than its header says, and of tracks that are not heard.
        pick: Which channels are heard; of ``split`` the blocks hold two, interleaved.

    Raises:
        AudioError: Missing, unreadable, a directory, empty, damaged, without sound or the channel, or in no format
            that can be read.
    """
    head = _sniff(str(path))
    missing = missing_bytes(head, Path(path).stat().st_size)
    try:
        decoder = _open_decoder(str(path), head, wire_rate_hz, pick, missing)
    except AudioError as error:
        raise AudioError(f"{path}: {error.message}", error.hint, code=error.code) from error.__cause__
    except OSError as error:
        raise AudioError(f"{path}: cannot be read", error.strerror) from error
    if warn is not None and decoder.warning is not None:
        warn(decoder.warning[0], f"{path}: {decoder.warning[1]}")
    return FileSource(decoder, str(path))


class FileSource:
    """A :class:`~rt_cli.audio.source.Source` over a file; memory does not grow with its length."""

    def __init__(self, decoder: _Decoder, name: str) -> None:
        self._decoder = decoder
        self._info = SourceInfo(name, "file", False, decoder.rate_hz, decoder.channels, decoder.duration_s)
        self._busy = threading.Lock()
        self._closed = False
        self._stopped = False

    @property
    def info(self) -> SourceInfo:
        """What was opened."""
        return self._info

    async def blocks(self) -> AsyncIterator[Block]:
        """The sound, some seconds at a time, decoded in a thread. Read it once; safe to cancel.

        Raises:
            AudioError: Decoding broke; what came before it has been yielded.
        """
        while not self._stopped:
            pcm = await asyncio.to_thread(self._read)
            if not pcm:
                return
            yield Block(pcm)

    def stop(self) -> None:
        """End after the block being read. Idempotent."""
        self._stopped = True

    async def aclose(self) -> None:
        """Close the file, once the block being read is done. Idempotent."""
        self._stopped = True
        await asyncio.to_thread(self._close)

    def _read(self) -> bytes:
        with self._busy:
            if self._closed:
                return b""
            try:
                return self._decoder.read()
            except AudioError as error:
                raise AudioError(f"{self._info.name}: {error.message}", error.hint) from error.__cause__
            except OSError as error:
                raise AudioError(f"{self._info.name}: cannot be read", error.strerror) from error

    def _close(self) -> None:
        with self._busy:
            if not self._closed:
                self._closed = True
                self._decoder.close()


def _sniff(path: str) -> bytes:
    """The first bytes of a regular file that has some."""
    try:
        mode = Path(path).stat().st_mode  # opening a FIFO would block
        if stat.S_ISDIR(mode):
            raise AudioError(f"{path}: is a directory", "name the files in it")
        if not stat.S_ISREG(mode):
            raise AudioError(f"{path}: is no regular file", f"send it through a pipe: rt send - < {quote(path)}")
        with Path(path).open("rb") as file:
            head = file.read(_SNIFF_BYTES)
    except FileNotFoundError as error:
        raise AudioError(f"{path}: no such file", "check the name") from error
    except PermissionError as error:
        raise AudioError(f"{path}: permission denied", "check who may read it") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise AudioError(f"{path}: cannot be opened", getattr(error, "strerror", None) or str(error)) from error
    if not head:
        raise AudioError(f"{path}: is empty", "0 bytes hold no sound")
    return head


def _open_decoder(path: str, head: bytes, wire_rate_hz: int, pick: Pick, missing: int) -> _Decoder:
    if Path(path).suffix.lower() == ".raw":
        raise AudioError(
            "raw PCM does not say how to be read",
            f"say it: rt send - --encoding s16le --sample-rate HZ < {quote(path)}",
        )
    problem: WavError | None = None
    if head.startswith(MAGICS):
        try:
            wav = WavFile(path, wire_rate_hz, pick)
        except WavError as error:  # libsndfile knows more encodings
            problem = error
        else:
            return _warned(wav, missing)
    import soundfile

    file = EndlessFlac(path) if head.startswith(FLAC_MAGIC) else None
    try:
        with nullcontext() if head.startswith(_QUIET) else off_stderr():
            # As bytes, because soundfile cannot encode names that are no valid text.
            sound = soundfile.SoundFile(file or (os.fsencode(path) if os.name == "posix" else path))
    except soundfile.LibsndfileError as error:
        if file is not None:
            file.close()
        return _open_media(path, head, wire_rate_hz, pick, missing, error.error_string)
    if sound.frames == 0 and problem is not None:
        sound.close()
        raise problem
    decoder = _Soundfile(sound, file, promised_frames(head) if file else sound.frames)
    try:
        decoder.begin(wire_rate_hz, pick)
    except AudioError:
        decoder.close()
        raise
    return _warned(decoder, missing)


def _warned(decoder: _Soundfile | WavFile, missing: int) -> _Decoder:
    if missing:
        decoder.warning = ("truncated", cut_short(missing))
    return decoder


def _open_media(path: str, head: bytes, wire_rate_hz: int, pick: Pick, missing: int, reason: str) -> _Decoder:
    """What libsndfile cannot read, for the reason that it gave."""
    if is_text(head):
        raise AudioError("holds text, not sound", "name a recording")
    try:
        from rt_cli.audio.decode.av_file import MediaDecoder, UnknownFormatError
    except ImportError:
        raise unreadable(path, head, reason, tried=False) from None
    try:
        return MediaDecoder(path, wire_rate_hz, pick, missing)
    except UnknownFormatError:
        raise unreadable(path, head, reason, tried=True) from None


class _Soundfile:
    """What libsndfile reads.

    Args:
        sound: Open.
        file: Through which it reads, if that is one of ours.
        frames: How many there are, if the header is right; 0 for none, or unknown.
    """

    warning: tuple[str, str] | None = None

    def __init__(self, sound: Any, file: EndlessFlac | None, frames: int) -> None:
        self.rate_hz: int = sound.samplerate
        self.channels: int = sound.channels
        self.duration_s = frames / sound.samplerate if 0 < frames < _NO_LENGTH else None
        self._sound = sound
        self._file = file
        self._promised = frames
        self._frames_read = 0
        self._ended = False
        self._failure: AudioError | None = None

    def begin(self, wire_rate_hz: int, pick: Pick) -> None:
        """Before the first read. Raises AudioError: it holds nothing that can be heard so."""
        import numpy as np

        if self._sound.frames == 0:
            raise silent()
        check(self.channels, pick)
        # Forward only: soundfile seeks after every read, which fails on a FLAC that does not say how long it is.
        self._sound.seekable = lambda: False
        self._pick = pick
        self._resampler = Resampler(self.rate_hz, wire_rate_hz, width(pick))
        self._verbatim = self._sound.subtype == "PCM_16" and self.channels == 1 and self.rate_hz == wire_rate_hz
        kind = np.dtype("<i2" if self._verbatim else np.float32)
        widest = self.channels * kind.itemsize * (1 if self._verbatim else 2)
        frames = max(1, min(self.rate_hz * BLOCK_S, BLOCK_BYTES // widest))
        self._buffer = np.empty((frames, self.channels), kind)
        # A read that fails on a damaged MP3 takes all its frames with it: a frame of the format at a time.
        self._step = _MP3_FRAMES if self._sound.format == "MP3" else frames

    def read(self) -> bytes:
        while not self._ended:
            if pcm := self._convert(self._fill()):
                return pcm
        if self._failure is not None:
            raise self._failure
        if self._frames_read == 0:
            raise silent()
        return b""

    def close(self) -> None:
        self._sound.close()
        if self._file is not None:
            self._file.close()

    def _fill(self) -> int:
        """Read the next frames into the buffer; how many there were."""
        filled = 0
        while filled < len(self._buffer) and not self._ended:
            filled += self._read_into(self._buffer[filled : filled + self._step])
        return filled

    def _read_into(self, buffer: Any) -> int:
        import soundfile

        try:
            frames = len(self._sound.read(out=buffer))
        except soundfile.LibsndfileError as error:
            frames = min(self._salvaged(), len(buffer))
            self._ended = True
            # Programs append tags to a FLAC, which it has no place for.
            if self._file is None or self._frames_read + frames != self._promised:
                self._failure = broken((self._frames_read + frames) / self.rate_hz, error.error_string)
                self._failure.__cause__ = error
        if self._file is not None and self._file.failure is not None:
            self._failure = AudioError("cannot be read", self._file.failure.strerror)
        self._frames_read += frames
        self._ended = self._ended or frames == 0
        return frames

    def _salvaged(self) -> int:
        """How many frames the read that failed had put into the buffer before."""
        import soundfile

        try:
            return max(0, int(self._sound.warn()) - self._frames_read)
        except soundfile.LibsndfileError:
            return 0

    def _convert(self, frames: int) -> bytes:
        block = self._buffer[:frames]
        if self._verbatim:
            return bytes(block.tobytes())
        pcm = self._resampler.push(choose(block, self._pick)) if frames else b""
        return pcm + self._resampler.flush() if self._ended else pcm
