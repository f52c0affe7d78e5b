"""From the source's rate to the wire's, without aliasing, block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.audio.format import float_to_pcm16
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LOWEST_RATE_HZ = 1_000
HIGHEST_RATE_HZ = 768_000
_LOUDEST = 16.0
"""24 dB beyond full scale: floating point may hold such peaks; what is louder is no sound."""


def check_rate(rate_hz: int) -> None:
    """Find out early that sound at this rate cannot be used. Raises AudioError."""
    if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
        raise AudioError(
            f"a sample rate of {rate_hz} Hz cannot be used",
            f"rates from {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz can",
        )


class Resampler:
    """Float audio at one rate in, PCM16 at another out.

    Positions are aligned: the n-th sample out is the sound at ``n * source / wire`` in. After :meth:`flush` there are
    ``samples * wire / source`` of them, rounded either way. Where the rates are equal nothing is changed.

    Args:
        source_rate_hz: 1000 to 768000.
        wire_rate_hz: The same.
        channels: 1, or 2 that are kept apart.

    Raises:
        AudioError: A rate is out of range.
    """

    def __init__(self, source_rate_hz: int, wire_rate_hz: int, channels: int = 1) -> None:
        check_rate(source_rate_hz)
        check_rate(wire_rate_hz)
        self._empty = (0,) if channels == 1 else (0, channels)
        self._stream = None
        if source_rate_hz != wire_rate_hz:
            import soxr

            self._stream = soxr.ResampleStream(source_rate_hz, wire_rate_hz, channels, dtype="float32", quality="HQ")

    def push(self, block: NDArray[np.float32]) -> bytes:
        """Take the next block and give what is ready; some 20 ms stay inside.

        Args:
            block: Shape ``(frames,)``, of two channels ``(frames, 2)``; nominal range [-1, 1]; NaN and
                infinities are silence.

        Returns:
            s16le at the wire rate, interleaved; beyond full scale clipped.
        """
        import numpy as np

        if not np.abs(block).max(initial=0) <= _LOUDEST:  # NaN is not
            # One of them would ring through the filter for as long as it remembers.
            block = np.clip(np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0), -_LOUDEST, _LOUDEST)
        return float_to_pcm16(block if self._stream is None else self._stream.resample_chunk(block))

    def flush(self) -> bytes:
        """Give the rest. Nothing may be pushed afterwards; a second call gives nothing."""
        if self._stream is None:
            return b""
        import numpy as np

        stream, self._stream = self._stream, None
        return float_to_pcm16(stream.resample_chunk(np.zeros(self._empty, dtype=np.float32), last=True))
