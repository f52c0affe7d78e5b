"""Files that libsndfile cannot read, by PyAV (libav): M4A, video, WMA, AMR and more. Needs the extra ``media``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import av
import numpy as np

from rt_cli.audio.channels import check, width
from rt_cli.audio.decode.diagnose import (
    TOLERANCE_S,
    behind_error,
    cut_error,
    decode_error,
    missing_bytes_error,
    missing_error,
    no_audio,
)
from rt_cli.audio.decode.recognise import HEAD_BYTES, tag_bytes
from rt_cli.audio.decode.timestamps import Timestamps
from rt_cli.audio.mix_check import MixCheck
from rt_cli.audio.resample import Resampler
from rt_cli.audio.source import Block
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.audio.frame import AudioFrame
    from numpy.typing import NDArray

    from rt_cli.audio.channels import Pick
    from rt_cli.audio.decode.plan.ogg_starts import OggStarts

_FORMATS = "aac,ac3,aiff,amr,ape,asf,avi,caf,dts,eac3,flac,flv,matroska,mov,mpeg,mpegts,ogg,rm,tta,voc,w64,wav,webm,wv"
"""Formats with a signature. libav detects the others in any noise, or they are playlists of other files."""
_OPTIONS = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
"""No format of the whitelist refers to other files; if one did, libav could still not open the network."""
_LENIENT_FROM = 19
_TAGS: dict[str, Any] = {} if int(av.__version__.partition(".")[0]) >= _LENIENT_FROM else {"metadata_errors": "replace"}
"""A title in an unknown encoding is no error. This is the default of newer versions."""
_INEXACT_DURATION = {"aac", "ac3", "amr", "dts", "eac3", "flac"}
"""Formats whose duration is a guess: libav computes it from the bit rate or takes it from an unreliable header."""
_ANNOUNCING = {"mov", "matroska", "webm", "asf", "wv", "tta", "ape", "flv", "flac"}
"""Formats that state the duration of a track. That of others is a guess, or counts padding."""
_PACKETS_TO_THE_END = {"wv", "tta", "flv"}
"""Formats without an index at the end, of which libav reads only the first of two joined files."""
_CHECKSUMS = {"wavpack", "tta"}
"""Codecs that check what they decode only if they are asked to."""
_STRAY_MS = 100
_MUCH_BEHIND = 4096
_BLOCK_FRAMES = 1 << 17
"""Frames of the selected channels per block. All channels are in memory only for one frame of the format."""
_MICROSECOND = 1e-6


class ByteStream(Protocol):
    """Bytes that are read once."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, as soon as there are some; empty at the end."""
        ...


class UnknownFormatError(Exception):
    """The file has none of the formats in the whitelist."""


class MediaDecoder:
    """The first audio track of a container.

    A packet that cannot be decoded, and a jump of the time stamps, are holes; the track goes on behind them.

    Args:
        source: Path of a regular file; or a stream, whose ``read`` blocks, and which is read once from its beginning.
        wire_rate_hz: Rate of the output.
        pick: The channels to use.
        demuxer: Of libav, for a stream; None: libav recognises the format of a file.
        block_frames: Frames of the selected channels per block.
        missing: Bytes by which the file is shorter than its header says; if not 0, :meth:`read` raises at the end.
        behind: Bytes of another file behind this one; if not 0, :meth:`read` raises at the end, too.
        pages: What the pages of an Ogg file state; None for others.

    Raises:
        UnknownFormatError: The container is unknown or damaged.
        AudioError: The file has no audio, or none that can be decoded.
    """

    def __init__(
        self,
        source: str | ByteStream,
        wire_rate_hz: int,
        pick: Pick,
        *,
        demuxer: str | None = None,
        block_frames: int = _BLOCK_FRAMES,
        missing: int = 0,
        behind: int = 0,
        pages: OggStarts | None = None,
    ) -> None:
        self._source = source
        self._demuxer = demuxer
        self._block_frames = block_frames
        self._wire_rate_hz = wire_rate_hz
        self._pick = pick
        self._missing, self._behind = missing, behind
        self._starts = dict(pages.starts) if pages else {}
        self._headers = pages.headers if pages else []
        self._recount = bool(self._starts)
        self._next_pts: int | None = None
        """Time stamp of the next packet, if they are counted here."""
        self._cut = pages.cut if pages else ""
        self.mix_check = MixCheck()
        self._timestamps = Timestamps()
        self._tick_s = 0.0
        """Unit of the time stamps."""
        self._start_s = 0.0
        """Time stamp of the first frame."""
        self._decoded_s = 0.0
        """End of the track so far, holes included."""
        self._written = 0
        """Samples of the output so far, holes included."""
        self._next_frame: AudioFrame | None = None
        self._hole_s = 0.0
        """Seconds lost directly before the next frame."""
        self._hole_end_s = 0.0
        self._failure: AudioError | None = None
        self._error = ""
        """Error text of the last packet that could not be decoded."""
        self._to_the_end = False
        """The format has nothing but tags behind its last packet."""
        self._packets_end = 0
        """Position in the file behind the last packet, for such a format."""
        self._unreadable = False
        """The container could not be read to its end."""
        self._container: Any = None
        self._resampler: Resampler | None = None
        self.warnings: list[tuple[str, str]] = []
        """Warnings for the user, as code and text, that nobody has taken yet."""
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def read(self) -> Block | None:
        """Return the next block, some seconds long; None at the end.

        Raises:
            AudioError: The file is damaged or ends too early. All audio that can be decoded has been returned.
        """
        while self._resampler is not None:
            lost = self._lost_samples()
            pcm = self._resampler.push(np.concatenate(self._next_block()))
            if self._next_frame is None or self._hole_s or _shape(self._next_frame) != self._shape:
                pcm += self._resampler.flush()
                self._resampler = self._new_resampler()
            if pcm or lost:
                self._written += lost + len(pcm) // (2 * width(self._pick))
                return Block(pcm, lost, "damaged")
        if self._failure is not None:
            raise self._failure
        return None

    def close(self) -> None:
        """Close the file."""
        if self._container is not None:
            self._container.close()

    def _open(self) -> None:
        try:
            self._container = self._open_container()
        except av.FFmpegError as error:
            raise UnknownFormatError from error
        streams = self._container.streams.audio
        if not streams:
            raise AudioError("holds no audio", "it has no track of sound")
        if len(streams) > 1:
            self.warnings.append(("tracks", f"has {len(streams)} tracks of sound: only the first is heard"))
        self.duration_s = _duration_s(self._container, streams[0])
        self._tick_s = float(streams[0].time_base or 0)
        self._to_the_end = (
            isinstance(self._source, str)
            and self._container.format.name in _PACKETS_TO_THE_END
            and len(self._container.streams) == 1
        )
        self._announced_s = _announced_s(self._container, streams[0])
        if streams[0].codec_context is None:
            raise AudioError("holds no audio", "its track of sound has no known format")
        if streams[0].codec_context.name in _CHECKSUMS:
            streams[0].codec_context.options = {"err_detect": "crccheck+explode"}
        self._frames = self._decode(streams[0])
        self._advance()
        if self._next_frame is None:
            raise self._failure or no_audio()
        self.rate_hz, self.channels = self._shape = _shape(self._next_frame)
        self._resampler = self._new_resampler()

    def _open_container(self) -> Any:
        if isinstance(self._source, str):
            # "file:" because a file name may look like a URL.
            return av.open(f"file:{self._source}", "r", options=_OPTIONS, **_TAGS)
        return av.open(self._source, "r", format=self._demuxer, options={"protocol_whitelist": ""}, **_TAGS)

    def _new_resampler(self) -> Resampler | None:
        """Create a resampler for the next frame: in a broadcast, rate and channels may change. None at the end."""
        if self._next_frame is None:
            return None
        self._shape = _shape(self._next_frame)
        return Resampler(self._shape[0], self._wire_rate_hz, width(self._pick))

    def _lost_samples(self) -> int:
        """Samples of the output lost before the next frame. Their end is where the track is, without rounding."""
        if not self._hole_s:
            return 0
        self._hole_s = 0.0
        return max(0, round(self._hole_end_s * self._wire_rate_hz) - self._written)

    def _next_block(self) -> list[NDArray[np.float32]]:
        """Return the selected channels of the next frames of one shape: at least one frame, at most a block."""
        parts: list[NDArray[np.float32]] = []
        size = 0
        while (
            size < self._block_frames
            and self._next_frame is not None
            and not self._hole_s
            and _shape(self._next_frame) == self._shape
        ):
            parts.append(self.mix_check.choose(to_float(self._next_frame), self._pick, self._shape[0]))
            size += self._next_frame.samples
            self._advance()
        return parts

    def _advance(self) -> None:
        try:
            self._next_frame = next(self._frames, None)
        except AudioError as error:
            self._next_frame, self._failure = None, error

    def _decode(self, stream: Any) -> Iterator[AudioFrame]:
        """Yield all frames that can be decoded. Raises AudioError after them if the end is damaged or not there."""
        to_the_end = self._to_the_end
        for packet in self._packets(stream):
            if to_the_end and packet.size:
                self._packets_end = max(self._packets_end, (packet.pos or 0) + packet.size)
            if packet.has_sidedata("encryption_info"):
                raise AudioError("is encrypted", "it can only be played by the program it was made for")
            if any(start <= (packet.pos or 0) < end for start, end in self._headers):
                continue
            if self._recount:
                self._count(packet)
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                self._error = error.strerror or type(error).__name__
                self._timestamps.skip(self._seconds(packet.pts), self._seconds(packet.duration) or 0.0)
                continue
            for frame in frames:
                check(frame.layout.nb_channels, self._pick)
                self._place(frame)
                yield frame
        self._check_end()

    def _count(self, packet: Any) -> None:
        """Correct the time stamp of a packet of a damaged Ogg file: behind damage libav counts on from before it."""
        if packet.pos in self._starts:
            self._next_pts = self._starts.pop(packet.pos)
            self._timestamps.skip(0.0, 0.0)
        if self._next_pts is not None:
            packet.pts = self._next_pts
        if packet.pts is not None:
            self._next_pts = packet.pts + (packet.duration or 0)

    def _packets(self, stream: Any) -> Iterator[Any]:
        """Yield all packets that can be read; behind damage the container may have more."""
        has_more = True
        while has_more:
            has_more = False
            try:
                for packet in self._container.demux(stream):
                    has_more = True
                    yield packet
            except av.InvalidDataError as error:
                self._error = error.strerror or "damaged"
                self._unreadable = True
                continue
            except OSError as error:
                raise AudioError("cannot be read", error.strerror) from error
            return

    def _place(self, frame: AudioFrame) -> None:
        """Find the place of a frame on the timeline, and the hole before it."""
        length_s = frame.samples / frame.sample_rate
        start_s = None if frame.pts is None else frame.pts * self._tick_s
        if not self._decoded_s:
            self._start_s = start_s or 0.0
        if lost_s := self._timestamps.advance(start_s, length_s):
            self._hole_s, self._hole_end_s = lost_s, self._decoded_s + lost_s
        self._decoded_s += lost_s + length_s

    def _seconds(self, ticks: int | None) -> float | None:
        """A time stamp in seconds; None for none."""
        return None if ticks is None else ticks * self._tick_s

    def _check_end(self) -> None:
        """Compare what was heard with what the file announces."""
        if self._timestamps.jumped:
            self.warnings.append(("timestamps", "its time stamps jump: times behind the jump count on from before it"))
        announced_s = None if self._timestamps.jumped else self._announced_s
        missing_s = 0.0 if announced_s is None else announced_s - self._start_s - self._decoded_s
        if missing_s > TOLERANCE_S:
            raise missing_error(self._decoded_s, missing_s)
        if self._missing:
            raise missing_bytes_error(self._decoded_s, self._missing)
        if self._timestamps.failed or (self._unreadable and announced_s is None):
            raise decode_error(self._decoded_s, self._error)
        if _has_stray_track(self._container):
            raise AudioError("holds parts that are damaged", "fetch it again", code="damaged")
        if cut := self._cut or ("pages are damaged" if self._starts else ""):
            raise cut_error(self._decoded_s, cut)
        if behind := self._behind or self._bytes_behind():
            raise behind_error(self._decoded_s, behind)

    def _bytes_behind(self) -> int:
        """Bytes behind the last packet that should not be there; tags may."""
        if not self._to_the_end or not isinstance(self._source, str):
            return 0
        with Path(self._source).open("rb") as file:
            size, at, tag = file.seek(0, os.SEEK_END), self._packets_end, -1
            while tag:
                file.seek(at)
                tag = tag_bytes(file.read(HEAD_BYTES))
                at += tag
        return size - at if size - at > _MUCH_BEHIND else 0


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


def _announced_s(container: Any, stream: Any) -> float | None:
    """Length of the track that the file announces; None if libav estimates it, or if it may be that of pictures."""
    if not _ANNOUNCING & set(container.format.name.split(",")):
        return None
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return container.duration * _MICROSECOND if container.duration and len(container.streams) == 1 else None


def _has_stray_track(container: Any) -> bool:
    """True if damage looks like another track. An FLV announces no tracks: each tag says what it holds."""
    first, *others = (stream.start_time for stream in container.streams.audio)
    if container.format.name != "flv":
        return False
    return any(start is None or abs(start - (first or 0)) > _STRAY_MS for start in others)
