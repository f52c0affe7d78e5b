"""Audio files as sources: WAV by our parser, FLAC, OGG, MP3 and others by libsndfile, the rest by libav."""

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
from rt_cli.audio.decode.diagnose import decode_error, is_text, missing_bytes, no_audio, open_error, truncation_text
from rt_cli.audio.decode.flac import MAGIC as FLAC_MAGIC
from rt_cli.audio.decode.flac import EndlessFlac, header_frames
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
"""libsndfile returns such a number of frames, or a larger one, if the length is unknown."""
_SILENT_DECODERS = (b"RIFF", b"RF64", b"fLaC", b"OggS")
"""Signatures of formats whose decoders print nothing. The MP3 decoder prints on stderr."""


class _Decoder(Protocol):
    """An open audio file. Every method blocks."""

    rate_hz: int
    channels: int
    duration_s: float | None
    warning: tuple[str, str] | None
    """A warning for the user, as code and text, or None."""

    def read(self) -> bytes:
        """Return s16le at the wire rate, some seconds of it; empty at the end.

        Raises:
            AudioError: Decoding failed. All audio before the failure has been returned.
        """
        ...

    def close(self) -> None: ...


def open_file(path: str | Path, *, wire_rate_hz: int, warn: Warn | None = None, pick: Pick = "mix") -> FileSource:
    """Open an audio file.

    Args:
        path: Path of a regular file.
        wire_rate_hz: Rate of the blocks.
        warn: Called for a readable file that is shorter than its header says (``truncated``), and for audio tracks that
            are not used (``tracks``).
        pick: The channels to use; for ``split`` the blocks hold two interleaved channels.

    Raises:
        AudioError: The file is missing, not readable, a directory, empty or damaged, has no audio or not the channel,
            or its format is unknown.
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
    """A :class:`~rt_cli.audio.source.Source` over a file. Memory use does not depend on the length of the file."""

    def __init__(self, decoder: _Decoder, name: str) -> None:
        self._decoder = decoder
        self._info = SourceInfo(name, "file", False, decoder.rate_hz, decoder.channels, decoder.duration_s)
        self._lock = threading.Lock()
        self._closed = False
        self._stopped = False

    @property
    def info(self) -> SourceInfo:
        """Properties of the file."""
        return self._info

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield the audio in blocks of some seconds, decoded in a thread. Iterate once; safe to cancel.

        Raises:
            AudioError: Decoding failed. All audio before the failure has been yielded.
        """
        while not self._stopped:
            pcm = await asyncio.to_thread(self._read)
            if not pcm:
                return
            yield Block(pcm)

    def stop(self) -> None:
        """End the iterator after the current block. Idempotent."""
        self._stopped = True

    async def aclose(self) -> None:
        """Close the file after the current read. Idempotent."""
        self._stopped = True
        await asyncio.to_thread(self._close)

    def _read(self) -> bytes:
        with self._lock:
            if self._closed:
                return b""
            try:
                return self._decoder.read()
            except AudioError as error:
                raise AudioError(f"{self._info.name}: {error.message}", error.hint) from error.__cause__
            except OSError as error:
                raise AudioError(f"{self._info.name}: cannot be read", error.strerror) from error

    def _close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._decoder.close()


def _sniff(path: str) -> bytes:
    """Return the first bytes of a file. Raises AudioError if it is missing, empty or no regular file."""
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
        except WavError as error:  # libsndfile reads more encodings
            problem = error
        else:
            return _with_truncation_warning(wav, missing)
    import soundfile

    file = EndlessFlac(path) if head.startswith(FLAC_MAGIC) else None
    try:
        with nullcontext() if head.startswith(_SILENT_DECODERS) else off_stderr():
            # The path as bytes, because soundfile cannot encode a name that is not valid text.
            sound = soundfile.SoundFile(file or (os.fsencode(path) if os.name == "posix" else path))
    except soundfile.LibsndfileError as error:
        if file is not None:
            file.close()
        return _open_media(path, head, wire_rate_hz, pick, missing, error.error_string)
    if sound.frames == 0 and problem is not None:
        sound.close()
        raise problem
    decoder = _Soundfile(sound, file, header_frames(head) if file else sound.frames)
    try:
        decoder.begin(wire_rate_hz, pick)
    except AudioError:
        decoder.close()
        raise
    return _with_truncation_warning(decoder, missing)


def _with_truncation_warning(decoder: _Soundfile | WavFile, missing: int) -> _Decoder:
    if missing:
        decoder.warning = ("truncated", truncation_text(missing))
    return decoder


def _open_media(path: str, head: bytes, wire_rate_hz: int, pick: Pick, missing: int, reason: str) -> _Decoder:
    """Open a file by libav. ``reason`` is why libsndfile cannot read it."""
    if is_text(head):
        raise AudioError("holds text, not sound", "name a recording")
    try:
        from rt_cli.audio.decode.av_file import MediaDecoder, UnknownFormatError
    except ImportError:
        raise open_error(path, head, reason, libav_failed=False) from None
    try:
        return MediaDecoder(path, wire_rate_hz, pick, missing)
    except UnknownFormatError:
        raise open_error(path, head, reason, libav_failed=True) from None


class _Soundfile:
    """A decoder by libsndfile.

    Args:
        sound: An open ``soundfile.SoundFile``.
        file: The file object that ``sound`` reads from, if it is one of ours.
        frames: Number of frames that the header states; 0 for none or unknown.
    """

    warning: tuple[str, str] | None = None

    def __init__(self, sound: Any, file: EndlessFlac | None, frames: int) -> None:
        self.rate_hz: int = sound.samplerate
        self.channels: int = sound.channels
        self.duration_s = frames / sound.samplerate if 0 < frames < _NO_LENGTH else None
        self._sound = sound
        self._file = file
        self._header_frames = frames
        self._frames_read = 0
        self._ended = False
        self._failure: AudioError | None = None

    def begin(self, wire_rate_hz: int, pick: Pick) -> None:
        """Prepare the first read.

        Raises:
            AudioError: The file has no audio, not the channel, or a rate out of range.
        """
        import numpy as np

        if self._sound.frames == 0:
            raise no_audio()
        check(self.channels, pick)
        # soundfile seeks after every read of a seekable file, which fails on a FLAC without a length.
        self._sound.seekable = lambda: False
        self._pick = pick
        self._resampler = Resampler(self.rate_hz, wire_rate_hz, width(pick))
        self._verbatim = self._sound.subtype == "PCM_16" and self.channels == 1 and self.rate_hz == wire_rate_hz
        kind = np.dtype("<i2" if self._verbatim else np.float32)
        widest = self.channels * kind.itemsize * (1 if self._verbatim else 2)
        frames = max(1, min(self.rate_hz * BLOCK_S, BLOCK_BYTES // widest))
        self._buffer = np.empty((frames, self.channels), kind)
        # A failed read of a damaged MP3 loses all its frames, so read one MP3 frame at a time.
        self._step = _MP3_FRAMES if self._sound.format == "MP3" else frames

    def read(self) -> bytes:
        while not self._ended:
            if pcm := self._convert(self._fill()):
                return pcm
        if self._failure is not None:
            raise self._failure
        if self._frames_read == 0:
            raise no_audio()
        return b""

    def close(self) -> None:
        self._sound.close()
        if self._file is not None:
            self._file.close()

    def _fill(self) -> int:
        """Read the next frames into the buffer and return their number."""
        count = 0
        while count < len(self._buffer) and not self._ended:
            count += self._read_into(self._buffer[count : count + self._step])
        return count

    def _read_into(self, buffer: Any) -> int:
        import soundfile

        try:
            frames = len(self._sound.read(out=buffer))
        except soundfile.LibsndfileError as error:
            frames = min(self._frames_before_failure(), len(buffer))
            self._ended = True
            # No error if all frames are read: programs append tags to a FLAC, which the format does not allow.
            if self._file is None or self._frames_read + frames != self._header_frames:
                self._failure = decode_error((self._frames_read + frames) / self.rate_hz, error.error_string)
                self._failure.__cause__ = error
        if self._file is not None and self._file.failure is not None:
            self._failure = AudioError("cannot be read", self._file.failure.strerror)
        self._frames_read += frames
        self._ended = self._ended or frames == 0
        return frames

    def _frames_before_failure(self) -> int:
        """Number of frames that the failed read has written to the buffer."""
        import soundfile

        try:
            return max(0, int(self._sound.tell()) - self._frames_read)
        except soundfile.LibsndfileError:
            return 0

    def _convert(self, frames: int) -> bytes:
        block = self._buffer[:frames]
        if self._verbatim:
            return bytes(block.tobytes())
        pcm = self._resampler.push(choose(block, self._pick)) if frames else b""
        return pcm + self._resampler.flush() if self._ended else pcm
