"""Sound from files, block by block: WAV, FLAC, OGG, MP3 and what else libsndfile reads."""

from __future__ import annotations

import asyncio
import codecs
import os
import stat
import threading
from contextlib import nullcontext
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, Protocol

from rt_cli.audio.channels import check, choose, width
from rt_cli.audio.decoder import StreamDecoder
from rt_cli.audio.native_noise import off_stderr
from rt_cli.audio.pcm import PcmLayout
from rt_cli.audio.resample import Resampler
from rt_cli.audio.source import Block, SourceInfo
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rt_cli.audio.channels import Pick
    from rt_cli.audio.source import Tell

_BLOCK_S = 8
_BLOCK_SAMPLES = 1 << 17
"""Of all channels together: many of them, or a high rate, make shorter blocks and not more memory."""
_MP3_FRAMES = 1152
_READ_BYTES = 64 * 1024
_SNIFF_BYTES = 512
_NO_LENGTH = 1 << 62
"""From here on a number of frames is libsndfile's way of saying that it does not know."""
_RIFF_HEAD = 8
_STREAMED_RIFF = 0x7F000000
"""From here on a RIFF length is a placeholder: programs that write into a pipe put 2 or 4 GiB there."""
_SLOPPY_BYTES = 64
"""Some programs count their own header, or padding, in."""
_QUIET = (b"RIFF", b"RF64", b"fLaC", b"OggS")
"""Beginnings of formats whose decoders print nothing; that of MP3 complains on stderr."""
_FOREIGN = {
    (4, b"ftyp"): "MP4",
    (0, b"\x1aE\xdf\xa3"): "Matroska or WebM",
    (8, b"AVI "): "AVI",
    (0, b"0&\xb2u"): "WMA",
    (0, b"FLV"): "FLV",
    (0, b"#!AMR"): "AMR",
    (0, b"\xff\xf1"): "AAC",
    (0, b"\xff\xf9"): "AAC",
}
"""What people have, libsndfile cannot read, and ffmpeg can; by position and bytes."""


class _Decoder(Protocol):
    """An open file. Every method blocks."""

    rate_hz: int
    channels: int
    duration_s: float | None

    def read(self) -> bytes:
        """s16le at the wire rate, some seconds; empty at the end. Raises AudioError after all there is."""
        ...

    def close(self) -> None: ...


def open_file(path: str | Path, *, wire_rate_hz: int, tell: Tell | None = None, pick: Pick = "mix") -> FileSource:
    """Open a file of sound.

    Args:
        path: Of a regular file.
        wire_rate_hz: Of the blocks.
        tell: Told of a file that can be read, but is shorter than its header says.
        pick: Which channels are heard; of ``split`` the blocks hold two, interleaved.

    Raises:
        AudioError: Missing, unreadable, a directory, empty, damaged, without sound or the channel, or in no format
            that can be read.
    """
    head = _sniff(str(path))
    try:
        decoder = _open_decoder(str(path), head, wire_rate_hz, pick)
    except AudioError as error:
        raise AudioError(f"{path}: {error.message}", error.hint, code=error.code) from error.__cause__
    if tell is not None and (missing := _missing_bytes(head, Path(path).stat().st_size)):
        tell("truncated", f"{path}: cut short: {missing} bytes that its header promises are not there")
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


def _missing_bytes(head: bytes, size: int) -> int:
    """How much shorter a WAV is than its header says; 0 where the header was written before anybody knew."""
    promised = int.from_bytes(head[4:8], "little") if head.startswith(b"RIFF") else 0
    missing = promised + _RIFF_HEAD - size
    return missing if promised < _STREAMED_RIFF and missing > _SLOPPY_BYTES else 0


def _open_decoder(path: str, head: bytes, wire_rate_hz: int, pick: Pick) -> _Decoder:
    if Path(path).suffix.lower() == ".raw":
        raise AudioError(
            "raw PCM does not say how to be read",
            f"say it: rt send - --encoding s16le --sample-rate HZ < {quote(path)}",
        )
    import soundfile

    try:
        with nullcontext() if head.startswith(_QUIET) else off_stderr():
            # As bytes, because soundfile cannot encode names that are no valid text.
            sound = soundfile.SoundFile(os.fsencode(path) if os.name == "posix" else path)
    except soundfile.LibsndfileError as error:
        raise _unreadable(path, head, error.error_string) from error
    try:
        if sound.frames:
            return _Soundfile(sound, wire_rate_hz, pick)
        if sound.format not in {"WAV", "WAVEX", "RF64"}:
            raise _silent()
    except AudioError:
        sound.close()
        raise
    sound.close()
    return _StreamedWav(path, wire_rate_hz, pick)


def _silent() -> AudioError:
    return AudioError("holds no audio", "its header is fine, but nothing follows it")


def _unreadable(path: str, head: bytes, reason: str) -> AudioError:
    result = f"{Path(path).stem}{'-converted' if Path(path).suffix.lower() == '.wav' else ''}.wav"
    convert = f"convert it first: ffmpeg -i {quote(path)} {quote(result)}"
    for (at, magic), kind in _FOREIGN.items():
        if head[at:].startswith(magic):
            return AudioError(f"{kind} cannot be read", convert)
    if head.startswith((b"RIFF", b"RF64", b"BW64", b"fLaC", b"OggS", b"ID3", b"FORM", b"caff", b".snd")):
        return AudioError(f"its header is damaged ({reason.rstrip('.')})", "record or fetch it again")
    if _is_text(head):
        return AudioError("holds text, not sound", "name a recording")
    return AudioError("is in no format that can be read", convert)


def _is_text(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return b"\0" not in head


class _Soundfile:
    """What libsndfile reads."""

    def __init__(self, sound: Any, wire_rate_hz: int, pick: Pick) -> None:
        import numpy as np

        check(sound.channels, pick)

        # Forward only: soundfile seeks after every read, which fails on a FLAC that does not say how long it is.
        sound.seekable = lambda: False
        self.rate_hz: int = sound.samplerate
        self.channels: int = sound.channels
        self.duration_s = sound.frames / sound.samplerate if sound.frames < _NO_LENGTH else None
        self._sound = sound
        self._pick = pick
        self._resampler = Resampler(self.rate_hz, wire_rate_hz, width(pick))
        self._verbatim = sound.subtype == "PCM_16" and self.channels == 1 and self.rate_hz == wire_rate_hz
        frames = max(1, min(self.rate_hz * _BLOCK_S, _BLOCK_SAMPLES // self.channels))
        self._buffer = np.empty((frames, self.channels), dtype="<i2" if self._verbatim else np.float32)
        # A read that fails on a damaged MP3 takes all its frames with it: a frame of the format at a time.
        self._step = _MP3_FRAMES if sound.format == "MP3" else frames
        self._frames_read = 0
        self._ended = False
        self._failure: AudioError | None = None

    def read(self) -> bytes:
        while not self._ended:
            if pcm := self._convert(self._fill()):
                return pcm
        if self._failure is not None:
            raise self._failure
        if self._frames_read == 0:
            raise _silent()
        return b""

    def close(self) -> None:
        self._sound.close()

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
            self._failure = self._broken((self._frames_read + frames) / self.rate_hz, error.error_string)
            self._failure.__cause__ = error
        self._frames_read += frames
        self._ended = self._failure is not None or frames == 0
        return frames

    def _salvaged(self) -> int:
        """How many frames the read that failed had put into the buffer before."""
        import soundfile

        try:
            return max(0, int(self._sound.tell()) - self._frames_read)
        except soundfile.LibsndfileError:
            return 0

    @staticmethod
    def _broken(at_s: float, reason: str) -> AudioError:
        reason = reason.removeprefix("Error :").strip(" .")
        return AudioError(f"cannot be decoded beyond {at_s:.1f} s ({reason})", "the file is damaged there")

    def _convert(self, frames: int) -> bytes:
        block = self._buffer[:frames]
        if self._verbatim:
            return bytes(block.tobytes())
        pcm = self._resampler.push(choose(block, self._pick)) if frames else b""
        return pcm + self._resampler.flush() if self._ended else pcm


class _StreamedWav:
    """A WAV saved from a pipe, whose header gives its length as 0: libsndfile believes that."""

    duration_s: float | None = None

    def __init__(self, path: str, wire_rate_hz: int, pick: Pick) -> None:
        self._decoder = StreamDecoder(PcmLayout("s16le", wire_rate_hz, 1), wire_rate_hz, pick)
        self._file = Path(path).open("rb")  # noqa: SIM115 - lives as long as the source
        self._ended = False
        self._first = b""
        try:
            self._first = self.read()
            if not self._first:
                raise _silent()
        except AudioError:
            self.close()
            raise
        self.rate_hz = self._decoder.layout.rate_hz
        self.channels = self._decoder.layout.channels

    def read(self) -> bytes:
        if first := self._first:
            self._first = b""
            return first
        while not self._ended:
            data = self._file.read(_READ_BYTES)
            self._ended = not data or self._decoder.ended
            if pcm := self._decoder.finish() if self._ended else self._decoder.push(data):
                return pcm
        return b""

    def close(self) -> None:
        self._file.close()
