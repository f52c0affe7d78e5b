"""Files that libsndfile cannot read, by PyAV (libav): M4A, video, WMA, AMR and more. Needs the extra ``media``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import av
import numpy as np

from rt_cli.audio.channels import check, choose, width
from rt_cli.audio.decode.diagnose import decode_error, no_audio, truncation_text
from rt_cli.audio.resample import Resampler
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.audio.frame import AudioFrame
    from numpy.typing import NDArray

    from rt_cli.audio.channels import Pick

_FORMATS = "aac,ac3,aiff,amr,ape,asf,avi,caf,dts,eac3,flac,flv,matroska,mov,mpeg,mpegts,ogg,rm,tta,w64,wav,webm,wv"
"""Formats with a signature. libav detects the others in any noise, or they are playlists of other files."""
_OPTIONS = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
"""No format of the whitelist refers to other files; if one did, libav could still not open the network."""
_LENIENT_FROM = 19
_TAGS: dict[str, Any] = {} if int(av.__version__.partition(".")[0]) >= _LENIENT_FROM else {"metadata_errors": "replace"}
"""A title in an unknown encoding is no error. This is the default of newer versions."""
_INEXACT_DURATION = {"aac", "ac3", "amr", "dts", "eac3", "flac"}
"""Formats whose duration is a guess: libav computes it from the bit rate or takes it from an unreliable header."""
_BLOCK_FRAMES = 1 << 17
"""Frames of the selected channels per block. All channels are in memory only for one frame of the format."""
_MICROSECOND = 1e-6


class UnknownFormatError(Exception):
    """The file has none of the formats in the whitelist."""


class MediaDecoder:
    """The first audio track of a container.

    Args:
        path: Path of a regular file.
        wire_rate_hz: Rate of the output.
        pick: The channels to use.
        missing: Bytes by which the file is shorter than its header says; if not 0, :meth:`read` raises at the end.

    Raises:
        UnknownFormatError: The container is unknown or damaged.
        AudioError: The file has no audio, or none that can be decoded.
    """

    def __init__(self, path: str, wire_rate_hz: int, pick: Pick, missing: int) -> None:
        self._wire_rate_hz = wire_rate_hz
        self._pick = pick
        self._missing = missing
        self._decoded_s = 0.0
        self._next_frame: AudioFrame | None = None
        self._failure: AudioError | None = None
        self._container: Any = None
        self._resampler: Resampler | None = None
        try:
            self._open(path)
        except BaseException:
            self.close()
            raise

    def read(self) -> bytes:
        """Return s16le at the wire rate, some seconds of it; empty at the end.

        Raises:
            AudioError: Decoding failed. All audio before the failure has been returned.
        """
        while self._resampler is not None:
            pcm = self._resampler.push(np.concatenate(self._next_block()))
            if self._next_frame is None or _shape(self._next_frame) != self._shape:
                pcm += self._resampler.flush()
                self._resampler = self._new_resampler()
            if pcm:
                return pcm
        if self._failure is not None:
            raise self._failure
        return b""

    def close(self) -> None:
        """Close the file."""
        if self._container is not None:
            self._container.close()

    def _open(self, path: str) -> None:
        try:
            # "file:" because a file name may look like a URL.
            self._container = av.open(f"file:{path}", "r", options=_OPTIONS, **_TAGS)
        except av.FFmpegError as error:
            raise UnknownFormatError from error
        streams = self._container.streams.audio
        if not streams:
            raise AudioError("holds no audio", "it has no track of sound")
        self.warning = (
            ("tracks", f"has {len(streams)} tracks of sound: only the first is heard") if len(streams) > 1 else None
        )
        self.duration_s = _duration_s(self._container, streams[0])
        self._frames = self._decode(streams[0])
        self._advance()
        if self._next_frame is None:
            raise self._failure or no_audio()
        self.rate_hz, self.channels = self._shape = _shape(self._next_frame)
        self._resampler = self._new_resampler()

    def _new_resampler(self) -> Resampler | None:
        """Create a resampler for the next frame: in a broadcast, rate and channels may change. None at the end."""
        if self._next_frame is None:
            return None
        self._shape = _shape(self._next_frame)
        return Resampler(self._shape[0], self._wire_rate_hz, width(self._pick))

    def _next_block(self) -> list[NDArray[np.float32]]:
        """Return the selected channels of the next frames of one shape: at least one frame, at most a block."""
        parts: list[NDArray[np.float32]] = []
        size = 0
        while size < _BLOCK_FRAMES and self._next_frame is not None and _shape(self._next_frame) == self._shape:
            parts.append(choose(to_float(self._next_frame), self._pick))
            size += self._next_frame.samples
            self._advance()
        return parts

    def _advance(self) -> None:
        try:
            self._next_frame = next(self._frames, None)
        except AudioError as error:
            self._next_frame, self._failure = None, error

    def _decode(self, stream: Any) -> Iterator[AudioFrame]:
        """Yield all frames that can be decoded. Raises AudioError after them if the file is damaged or too short."""
        try:
            for packet in self._container.demux(stream):
                if packet.has_sidedata("encryption_info"):
                    raise AudioError("is encrypted", "it can only be played by the program it was made for")
                for frame in packet.decode():
                    check(frame.layout.nb_channels, self._pick)
                    self._decoded_s += frame.samples / frame.sample_rate
                    yield frame
        except av.FFmpegError as error:
            raise decode_error(self._decoded_s, error.strerror or type(error).__name__) from error
        if self._missing:
            raise AudioError(f"ends at {self._decoded_s:.1f} s, {truncation_text(self._missing)}", "fetch it again")


def to_float(frame: AudioFrame) -> NDArray[np.float32]:
    """Convert a frame to float samples: shape ``(frames, channels)``, full scale is 1."""
    samples = frame.to_ndarray()
    samples = samples.T if frame.format.is_planar else samples.reshape(-1, frame.layout.nb_channels)
    if samples.dtype.kind == "f":
        return samples.astype(np.float32, copy=False)
    full_scale = np.float32(1 << (8 * samples.itemsize - 1))
    middle = full_scale if samples.dtype.kind == "u" else np.float32(0)
    return (samples.astype(np.float32) - middle) / full_scale


def _shape(frame: AudioFrame) -> tuple[int, int]:
    """Rate in Hz, and number of channels."""
    return frame.sample_rate, frame.layout.nb_channels


def _duration_s(container: Any, stream: Any) -> float | None:
    if container.format.name in _INEXACT_DURATION:
        return None
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return container.duration * _MICROSECOND if container.duration else None
