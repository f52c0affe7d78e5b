"""Files of the formats that libsndfile does not write, made with libav."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import av
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_PIECE = 65_536
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
_PICTURES_HZ = 10


def write_media(
    path: Path,
    samples: NDArray[np.int16] | None,
    rate_hz: int,
    *,
    codec: str = "aac",
    tracks: int = 1,
    seconds_of_video: int = 0,
    options: dict[str, str] | None = None,
    title: str | None = None,
) -> Path:
    """Write a container with sound, a grey picture, or both.

    Args:
        path: Of the file; its extension selects the container.
        samples: Shape ``(frames, channels)``; None for a film without sound.
        rate_hz: Sample rate of the samples.
        codec: Codec of the sound.
        tracks: Number of tracks with the same sound.
        seconds_of_video: Length of the picture track.
        options: Options of the container.
        title: A tag.
    """
    with av.open(str(path), "w", options=options or {}) as container:
        if title is not None:
            container.metadata["title"] = title
        picture: Any = container.add_stream("mpeg4", rate=_PICTURES_HZ) if seconds_of_video else None
        sounds: list[Any] = []
        if samples is not None:
            layout = _LAYOUTS[samples.shape[1]]
            sounds = [container.add_stream(codec, rate=rate_hz, layout=layout) for _ in range(tracks)]
        if picture is not None:
            picture.width = picture.height = 64
            for _ in range(seconds_of_video * _PICTURES_HZ):
                grey = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 128, np.uint8))
                container.mux(picture.encode(grey))
            container.mux(picture.encode(None))
        for sound in sounds:
            assert samples is not None
            for frame in [*_frames(samples, rate_hz), None]:
                container.mux(sound.encode(frame))
    return path


def _frames(samples: NDArray[np.int16], rate_hz: int) -> Iterator[av.AudioFrame]:
    for start in range(0, len(samples), _PIECE):
        piece = samples[start : start + _PIECE].reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(piece, "s16", _LAYOUTS[samples.shape[1]])
        frame.rate = rate_hz
        frame.pts = start
        yield frame
