"""Whether a microphone gives sound at all, and sound that can be understood. Pure."""

from __future__ import annotations

import math
import platform
from collections import deque
from typing import TYPE_CHECKING

from rt_cli.audio.format import FULL_SCALE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SILENT_S = 2.0
LONGEST_SILENT_S = 60.0
QUIET_DBFS = -60.0
QUIET_S = 10.0
HEARD_S = 1.0
"""After so much that was louder, what is quiet is a pause."""
CLIPPED_IN_A_ROW = 3
"""Fewer samples at full scale may be a peak that just fits."""
CLIPS_A_SECOND = 5
CLIPPING_EVERY_S = 10.0

_SILENCE_HINTS = {
    "Darwin": "allow this terminal to use it in System Settings > Privacy & Security > Microphone",
    "Windows": "let desktop apps use it in Settings > Privacy & security > Microphone, and look for a mute switch",
    "Linux": "look for a mute switch, then unmute it: pactl set-source-mute @DEFAULT_SOURCE@ 0, "
    "or wpctl set-mute @DEFAULT_SOURCE@ 0",
}


def silence_hint(system: str) -> str:
    """What to do about a microphone that gives nothing but zeros.

    Args:
        system: As ``platform.system()`` calls it.
    """
    return _SILENCE_HINTS.get(system, "is it muted, or not permitted?")


class InputHealth:
    """Follows the sound of one microphone.

    Digital silence is said once per episode. Where sound comes back by itself, as from a microphone that gates its
    noise, the patience doubles each time, from 2 s to a minute.

    Args:
        rate_hz: Of the sound.
        system: As ``platform.system()`` calls it; None for this machine's.
    """

    def __init__(self, rate_hz: int, system: str | None = None) -> None:
        self._rate_hz = rate_hz
        self._hint = silence_hint(platform.system() if system is None else system)
        self._samples = 0
        self._patience_s = SILENT_S
        self._silent_samples = 0
        self._said_silent = False
        self._sounded = False
        self._quiet_samples = 0
        self._loud_samples = 0
        self._said_quiet = False
        self._clips: deque[int] = deque(maxlen=CLIPS_A_SECOND + 1)
        self._full_before: NDArray[np.bool_] | None = None
        self._clipping_said_at: int | None = None

    @property
    def all_silent(self) -> bool:
        """Whether there were samples, and all of them were zero."""
        return self._samples > 0 and not self._sounded

    def take(self, pcm: bytes) -> list[tuple[str, str]]:
        """Judge the next block.

        Args:
            pcm: Mono s16le; may be empty.

        Returns:
            Warnings, each a code (``silent_input``, ``quiet_input``, ``clipping``) and a message.
        """
        import numpy as np

        samples = np.frombuffer(pcm, dtype="<i2")
        if not samples.size:
            return []
        lowest, highest = int(samples.min()), int(samples.max())
        if lowest or highest:
            warnings = [*self._take_sound(samples), *self._take_peaks(samples, lowest, highest)]
        else:
            warnings = self._take_zeros(samples.size)
        self._samples += samples.size
        return warnings

    def end(self) -> list[tuple[str, str]]:
        """The sound is over: what was too short to be told before."""
        return self._say_silent() if self.all_silent else []

    def _take_zeros(self, samples: int) -> list[tuple[str, str]]:
        self._full_before = None
        self._silent_samples += samples
        return self._say_silent() if self._silent_samples >= self._patience_s * self._rate_hz else []

    def _say_silent(self) -> list[tuple[str, str]]:
        if self._said_silent:
            return []
        self._said_silent = True
        return [("silent_input", f"the microphone gives pure silence: {self._hint}")]

    def _take_sound(self, samples: NDArray[np.int16]) -> list[tuple[str, str]]:
        import numpy as np

        self._silent_samples = 0
        if self._said_silent:
            self._said_silent = False
            self._patience_s = min(2 * self._patience_s, LONGEST_SILENT_S)
        self._sounded = True
        wide = samples.astype(np.float32)
        mean_square = float(np.dot(wide, wide)) / samples.size
        if mean_square >= (FULL_SCALE * 10 ** (QUIET_DBFS / 20)) ** 2:
            self._loud_samples += samples.size
            self._quiet_samples = 0
            return []
        self._quiet_samples += samples.size
        heard = self._loud_samples >= HEARD_S * self._rate_hz
        if heard or self._said_quiet or self._quiet_samples < QUIET_S * self._rate_hz:
            return []
        self._said_quiet = True
        level = f"{10 * math.log10(mean_square / FULL_SCALE**2):.0f} dBFS"
        return [("quiet_input", f"the microphone is very quiet ({level}): speak closer to it, or turn its level up")]

    def _take_peaks(self, samples: NDArray[np.int16], lowest: int, highest: int) -> list[tuple[str, str]]:
        if lowest > -FULL_SCALE + 1 and highest < FULL_SCALE - 1:
            self._full_before = None
            return []
        warn = False
        for at in self._clipped(samples):
            self._clips.append(self._samples + at)
            crowded = len(self._clips) > CLIPS_A_SECOND and self._clips[-1] - self._clips[0] <= self._rate_hz
            warn = warn or (crowded and self._may_say_clipping())
        if not warn:
            return []
        self._clipping_said_at = self._samples
        return [("clipping", "the microphone is too loud and clips: turn its level down")]

    def _may_say_clipping(self) -> bool:
        said = self._clipping_said_at
        return said is None or self._samples - said >= CLIPPING_EVERY_S * self._rate_hz

    def _clipped(self, samples: NDArray[np.int16]) -> list[int]:
        """Where in the block clipped stretches become long enough; one may have begun in the block before."""
        import numpy as np

        row = CLIPPED_IN_A_ROW
        before = np.zeros(row, dtype=np.bool_) if self._full_before is None else self._full_before
        full = np.concatenate((before, (samples >= FULL_SCALE - 1) | (samples <= -FULL_SCALE + 1)))
        self._full_before = full[-row:]
        rows = full[: -row + 1].copy()
        for shift in range(1, row):
            rows &= full[shift : full.size - row + 1 + shift]
        # The first entry is the row that ends with the block before; the n-th ends with its n-th sample.
        found: list[int] = np.flatnonzero(rows[1:] & ~rows[:-1]).tolist()
        return found
