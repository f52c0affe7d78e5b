"""Sound that libsndfile does not read, decoded by libav: M4A, video, WMA, AMR and more. Needs the extra ``media``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import av
import numpy as np

from rt_cli.audio.channels import check, choose, width
from rt_cli.audio.decode.diagnose import broken, cut_short, silent
from rt_cli.audio.resample import Resampler
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.audio.frame import AudioFrame
    from numpy.typing import NDArray

    from rt_cli.audio.channels import Pick

_FORMATS = "aac,ac3,aiff,amr,ape,asf,avi,caf,dts,eac3,flac,flv,matroska,mov,mpeg,mpegts,ogg,rm,tta,w64,wav,webm,wv"
"""Those with a beginning that is theirs alone: others are found in any noise, or are lists of further files."""
_OPTIONS = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
"""None of these names other files; were it to, the network stays out of reach."""
_NEW = 19
_TAGS: dict[str, Any] = {} if int(av.__version__.partition(".")[0]) >= _NEW else {"metadata_errors": "replace"}
"""A title in whatever encoding keeps nobody from listening; newer versions think so, too."""
_GUESSED = {"aac", "ac3", "amr", "dts", "eac3", "flac"}
"""Whose length libav computes from the rate of the bits, or believes a header that may be wrong."""
_BLOCK_FRAMES = 1 << 17
"""Of what is heard; all the channels are there only for one frame of the format at a time."""
_MICROSECOND = 1e-6


class UnknownFormatError(Exception):
    """It is nothing that libav is asked for."""


class MediaDecoder:
    """The first audio track of a container.

    Args:
        path: Of a regular file.
        wire_rate_hz: Of what comes out.
        pick: Which channels are heard.
        missing: Bytes that its header promises and that are not there, said at its end.

    Raises:
        UnknownFormatError: No container that is known, or a damaged one.
        AudioError: Without sound, or without any that can be decoded.
    """

    def __init__(self, path: str, wire_rate_hz: int, pick: Pick, missing: int) -> None:
        self._wire_rate_hz = wire_rate_hz
        self._pick = pick
        self._missing = missing
        self._decoded_s = 0.0
        self._ahead: AudioFrame | None = None
        self._failure: AudioError | None = None
        self._container: Any = None
        self._resampler: Resampler | None = None
        try:
            self._open(path)
        except BaseException:
            self.close()
            raise

    def read(self) -> bytes:
        """As every decoder of a file."""
        while self._resampler is not None:
            heard = self._gather()
            pcm = self._resampler.push(np.concatenate(heard))
            if self._ahead is None or _shape(self._ahead) != self._shape:
                pcm += self._resampler.flush()
                self._resampler = self._begin()
            if pcm:
                return pcm
        if self._failure is not None:
            raise self._failure
        return b""

    def close(self) -> None:
        """Let go of the file."""
        if self._container is not None:
            self._container.close()

    def _open(self, path: str) -> None:
        try:
            # A name may look like an address.
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
        if self._ahead is None:
            raise self._failure or silent()
        self.rate_hz, self.channels = self._shape = _shape(self._ahead)
        self._resampler = self._begin()

    def _begin(self) -> Resampler | None:
        """For sound of the shape that comes next: broadcasts change theirs."""
        if self._ahead is None:
            return None
        self._shape = _shape(self._ahead)
        return Resampler(self._shape[0], self._wire_rate_hz, width(self._pick))

    def _gather(self) -> list[NDArray[np.float32]]:
        """What is heard of the next frames of one shape, at least one of them and at most a block."""
        heard: list[NDArray[np.float32]] = []
        size = 0
        while size < _BLOCK_FRAMES and self._ahead is not None and _shape(self._ahead) == self._shape:
            heard.append(choose(to_float(self._ahead), self._pick))
            size += self._ahead.samples
            self._advance()
        return heard

    def _advance(self) -> None:
        try:
            self._ahead = next(self._frames, None)
        except AudioError as error:
            self._ahead, self._failure = None, error

    def _decode(self, stream: Any) -> Iterator[AudioFrame]:
        """All frames. Raises AudioError after those that can be decoded."""
        try:
            for packet in self._container.demux(stream):
                if packet.has_sidedata("encryption_info"):
                    raise AudioError("is encrypted", "it can only be played by the program it was made for")
                for frame in packet.decode():
                    check(frame.layout.nb_channels, self._pick)
                    self._decoded_s += frame.samples / frame.sample_rate
                    yield frame
        except av.FFmpegError as error:
            raise broken(self._decoded_s, error.strerror or type(error).__name__) from error
        if self._missing:
            raise AudioError(f"ends at {self._decoded_s:.1f} s, {cut_short(self._missing)}", "fetch it again")


def to_float(frame: AudioFrame) -> NDArray[np.float32]:
    """The samples of a frame: shape ``(frames, channels)``, full scale is 1."""
    samples = frame.to_ndarray()
    samples = samples.T if frame.format.is_planar else samples.reshape(-1, frame.layout.nb_channels)
    if samples.dtype.kind == "f":
        return samples.astype(np.float32, copy=False)
    full_scale = np.float32(1 << (8 * samples.itemsize - 1))
    middle = full_scale if samples.dtype.kind == "u" else np.float32(0)
    return (samples.astype(np.float32) - middle) / full_scale


def _shape(frame: AudioFrame) -> tuple[int, int]:
    """Rate in Hz, and channels."""
    return frame.sample_rate, frame.layout.nb_channels


def _duration_s(container: Any, stream: Any) -> float | None:
    if container.format.name in _GUESSED:
        return None
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return container.duration * _MICROSECOND if container.duration else None
