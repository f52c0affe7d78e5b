"""Audio files as sources: WAV by our parser, FLAC, OGG, MP3 and others by libsndfile, the rest by libav."""

from __future__ import annotations

import asyncio
import stat
import threading
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Protocol

from rt_cli.audio.decode.diagnose import missing_bytes, open_error
from rt_cli.audio.decode.recognise import HEAD_BYTES, is_text, recognise
from rt_cli.audio.decode.streamed.web import hint_for
from rt_cli.audio.decode.wav_file import WavFile
from rt_cli.audio.decode.wav_stream import MAGICS, WavError
from rt_cli.audio.source import SourceInfo
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rt_cli.audio.channels import Pick
    from rt_cli.audio.mix_check import MixCheck
    from rt_cli.audio.source import Block, Warn

_SNIFF_BYTES = HEAD_BYTES
_SAID_TWICE = {"truncated", "damaged"}
"""Codes of errors at the end of a file that are also warnings: what could be heard was transcribed."""
_UNPLAYED = "its blocks of silence and repeats are left out: times behind them are too early"
_SILENT_DECODERS = (b"RIFF", b"RF64", b"fLaC", b"OggS")
"""Signatures of formats whose decoders print nothing. The MP3 decoder prints on stderr."""


class Decoder(Protocol):
    """An open audio file. Every method blocks."""

    rate_hz: int
    channels: int
    duration_s: float | None
    warnings: list[tuple[str, str]]
    """Warnings for the user, as code and text, that nobody has taken yet."""
    mix_check: MixCheck
    """Whether the sound is silence, or the channels cancel each other."""

    def read(self) -> Block | None:
        """Return the next block at the wire rate, some seconds long; None at the end.

        Raises:
            AudioError: The file is damaged or ends too early. All audio that can be decoded has been returned.
        """
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def open_file(
    path: str | Path, *, wire_rate_hz: int, warn: Warn | None = None, pick: Pick = "mix", name: str | None = None
) -> FileSource:
    """Open an audio file.

    Args:
        path: Path of a regular file.
        name: Name for errors and output; None for the path.
        wire_rate_hz: Rate of the blocks.
        warn: Called, also from another thread, for a file that is shorter than its header says (``truncated``), damaged
            (``damaged``) or longer (``length``), for silence (``silent_input``), and for audio tracks that are not used
            (``tracks``).
        pick: The channels to use; for ``split`` the blocks hold two interleaved channels.

    Raises:
        AudioError: The file is missing, not readable, a directory, empty or damaged, has no audio or not the channel,
            or its format is unknown.
    """
    name = str(path) if name is None else name
    head = _sniff(str(path))
    try:
        decoder = _open_decoder(str(path), head, wire_rate_hz, pick)
    except AudioError as error:
        raise AudioError(f"{name}: {error.message}", error.hint, code=error.code) from error.__cause__
    except OSError as error:
        raise AudioError(f"{name}: cannot be read", error.strerror) from error
    source = FileSource(decoder, name, warn)
    source.pass_warnings()
    return source


class FileSource:
    """A :class:`~rt_cli.audio.source.Source` over a file. Memory use does not depend on the length of the file.

    Args:
        decoder: The open file.
        name: Path of the file as the user gave it.
        warn: Called with warnings, also from the thread that decodes.
    """

    def __init__(self, decoder: Decoder, name: str, warn: Warn | None = None) -> None:
        self._decoder = decoder
        self._info = SourceInfo(name, "file", False, decoder.rate_hz, decoder.channels, decoder.duration_s)
        self._warn = warn
        self._warned_codes: set[str] = set()
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
            block = await asyncio.to_thread(self._read)
            if block is None:
                return
            yield block

    def stop(self) -> None:
        """End the iterator after the current block. Idempotent."""
        self._stopped = True

    async def aclose(self) -> None:
        """Close the file after the current read. Idempotent."""
        self._stopped = True
        await asyncio.to_thread(self._close)

    def pass_warnings(self, *, at_end: bool = False) -> None:
        """Pass the decoder's warnings on."""
        warnings, self._decoder.warnings = self._decoder.warnings, []
        if (silence := self._decoder.mix_check.warning(at_end=at_end)) is not None:
            warnings.append(silence)
        for code, message in warnings:
            self._warned_codes.add(code)
            if self._warn is not None:
                self._warn(code, f"{self._info.name}: {message}")

    def _read(self) -> Block | None:
        with self._lock:
            if self._closed:
                return None
            block = None
            try:
                block = self._decoder.read()
            except AudioError as error:
                if error.code in _SAID_TWICE - self._warned_codes:
                    self._decoder.warnings.append((error.code, error.message))
                raise AudioError(
                    f"{self._info.name}: {error.message}", error.hint, code=error.code
                ) from error.__cause__
            except OSError as error:
                raise AudioError(f"{self._info.name}: cannot be read", error.strerror) from error
            finally:
                self.pass_warnings(at_end=block is None)
            return block

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
            raise AudioError(f"{path}: is a directory without sound files to send", "name files")
        if not stat.S_ISREG(mode):
            raise AudioError(f"{path}: is no regular file", f"send it through a pipe: rt send - < {quote(path)}")
        with Path(path).open("rb") as file:
            head = file.read(_SNIFF_BYTES)
    except FileNotFoundError as error:
        raise AudioError(f"{path}: no such file", hint_for(path) or "check the name") from error
    except PermissionError as error:
        raise AudioError(f"{path}: permission denied", "check who may read it") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise AudioError(f"{path}: cannot be opened", getattr(error, "strerror", None) or str(error)) from error
    if not head:
        raise AudioError(f"{path}: is empty", "0 bytes hold no sound")
    return head


def _open_decoder(path: str, head: bytes, wire_rate_hz: int, pick: Pick) -> Decoder:
    if Path(path).suffix.lower() == ".raw":
        raise AudioError(
            "raw PCM does not say how to be read",
            f"say it: rt send - --encoding s16le --sample-rate HZ < {quote(path)}",
        )
    problem: WavError | None = None
    if head.startswith(MAGICS):
        try:
            return WavFile(path, wire_rate_hz, pick)
        except WavError as error:  # libsndfile reads more encodings
            problem = error
    if recognise(head) == "VOC":  # libsndfile plays the heads of its blocks as sound
        return _open_media(path, head, wire_rate_hz, pick, "")
    import soundfile

    from rt_cli.audio.decode.plan.choose import plan_of
    from rt_cli.audio.decode.sound_file import SoundFileDecoder

    try:
        return SoundFileDecoder(path, plan_of(path, head), wire_rate_hz, pick, quiet=head.startswith(_SILENT_DECODERS))
    except soundfile.LibsndfileError as error:
        return _open_media(path, head, wire_rate_hz, pick, error.error_string)
    except AudioError as error:
        if error.code == "empty" and problem is not None:
            raise problem from None
        raise


def _open_media(path: str, head: bytes, wire_rate_hz: int, pick: Pick, reason: str) -> Decoder:
    """Open a file by libav. ``reason`` is why libsndfile cannot read it."""
    if is_text(head):
        raise AudioError("holds text, not sound", "name a recording")
    try:
        from rt_cli.audio.decode.av_file import MediaDecoder, UnknownFormatError
    except ImportError:
        raise open_error(path, head, reason, libav_failed=False) from None
    from rt_cli.audio.decode.plan.announced import missing_and_behind

    kind = recognise(head)
    missing, behind = missing_and_behind(path, head)
    missing = missing_bytes(head, Path(path).stat().st_size) or missing
    warnings: list[tuple[str, str]] = []
    pages = None
    if head.startswith(b"OggS"):
        from rt_cli.audio.decode.plan.ogg_starts import ogg_starts

        pages = ogg_starts(path)
    if kind in {"MP4", "VOC"}:
        from rt_cli.audio.decode import mp4_boxes, voc_blocks

        with Path(path).open("rb") as file:
            if kind == "MP4":
                missing, behind = mp4_boxes.extent(file)
            else:
                missing, behind, unplayed = voc_blocks.extent(file)
                warnings = [("timestamps", _UNPLAYED)] if unplayed else []
    try:
        decoder = MediaDecoder(path, wire_rate_hz, pick, missing=missing, behind=behind, pages=pages)
        decoder.warnings += warnings
        return decoder
    except UnknownFormatError:
        raise open_error(path, head, reason, libav_failed=True) from None
