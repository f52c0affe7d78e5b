"""Detects sound that is silence, and channels that cancel each other when they are mixed. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rt_cli.audio.channels import choose

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rt_cli.audio.channels import Pick

_SOUND_S = 3.0
"""Sound that is looked at; the check costs nothing after it."""
_LEAST_LEVEL = 10 ** (-60 / 20)
"""RMS from which a block counts as sound."""
_CANCELLED = 10 ** (-30 / 10)
"""Power of the mix, of that of its louder channel, below which the channels cancel each other."""


class MixCheck:
    """Looks at the start of the sound of a file or a pipe."""

    def __init__(self) -> None:
        self.decided = False
        """True if no more sound is needed."""
        self._warned = False
        self._has_samples = False
        self._has_sound = False
        self._cancels = False
        self._sides = 0.0
        self._mixed = 0.0
        self._compared = 0
        """Frames that were compared."""

    def take_pcm(self, pcm: bytes) -> None:
        """Check s16le of one channel."""
        if pcm and not self.decided:
            self._has_samples = True
            self._has_sound = self.decided = pcm.count(0) < len(pcm)

    def choose(self, frames: NDArray[np.float32], pick: Pick, rate_hz: int) -> NDArray[np.float32]:
        """Select channels as :func:`rt_cli.audio.channels.choose` does, and check them as long as that is needed."""
        chosen = choose(frames, pick)
        if not self.decided:
            self._take(frames, chosen, pick, rate_hz)
        return chosen

    def _take(self, frames: NDArray[np.float32], chosen: NDArray[np.float32], pick: Pick, rate_hz: int) -> None:
        if not frames.size:
            return
        self._has_samples = True
        self._has_sound = self._has_sound or bool(chosen.any())
        if pick != "mix" or frames.shape[1] == 1:
            self.decided = self._has_sound
            return
        for start in range(0, len(frames), rate_hz):
            self._compare(frames[start : start + rate_hz], chosen[start : start + rate_hz])
            if self._compared >= _SOUND_S * rate_hz:
                self._decide()
                return

    def _compare(self, frames: NDArray[np.float32], mix: NDArray[np.float32]) -> None:
        """Add up the power of the mix, and that of the louder one of the first two channels."""
        import numpy as np

        with np.errstate(all="ignore"):  # floats of a damaged file may be anything
            sides = max(float(np.dot(side, side)) for side in np.ascontiguousarray(frames[:, :2].T))
            if sides >= _LEAST_LEVEL**2 * len(frames):
                self._sides += sides
                self._mixed += float(np.dot(mix, mix))
                self._compared += len(frames)

    def warning(self, *, at_end: bool = False) -> tuple[str, str] | None:
        """Return a warning as code and text, once it is sure; None if there is none, or if it has been returned.

        Args:
            at_end: All sound has been checked.
        """
        if at_end and self._compared:
            self._decide()
        silent = at_end and self._has_samples and not self._has_sound
        if self._warned or not (self._cancels or silent):
            return None
        self._warned = True
        if self._cancels:
            return "silent_input", "its channels cancel each other in the mix: send one of them, --channel left"
        return "silent_input", "is pure silence: is it the right one, or the right channel (--channel left)?"

    def _decide(self) -> None:
        self.decided = True
        self._cancels = math.isfinite(self._sides) and self._mixed < _CANCELLED * self._sides
