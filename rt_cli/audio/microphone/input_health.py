"""Detects a microphone that is silent, too quiet or clipping. Pure."""

from __future__ import annotations

import math
import platform
from collections import deque
from typing import TYPE_CHECKING

from rt_cli.audio.format import FULL_SCALE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SILENT_S = 3.0
"""Silence from the start that is no pause."""
SILENT_AFTER_SOUND_S = 30.0
"""Silence after sound that is no pause: noise suppression gives zeros whenever nobody speaks."""
SILENT_RUN_S = 1.0
"""A run shorter than this may be silent."""
QUIET_DBFS = -60.0
QUIET_S = 10.0
LOUD_ENOUGH_S = 1.0
"""After this much louder audio, quiet audio counts as a pause and causes no warning."""
CLIPPED_IN_A_ROW = 3
"""Consecutive samples at full scale that count as one clip. Fewer may be a peak that exactly fits."""
CLIPS_A_SECOND = 5
CLIPPING_EVERY_S = 10.0

_SILENCE_HINTS = {
    "Darwin": "allow it in Settings > Privacy & Security > Microphone",
    "Windows": "muted? or see Settings > Privacy & security > Microphone",
    "Linux": "muted? try: pactl set-source-mute @DEFAULT_SOURCE@ 0",
}


def silence_hint(system: str) -> str:
    """Return what to do about a microphone that delivers only zeros.

    Args:
        system: Value of ``platform.system()``.
    """
    return _SILENCE_HINTS.get(system, "muted, or not permitted?")


class InputHealth:
    """Checks the audio of one microphone and returns warnings.

    A period of digital silence causes one warning: soon if nothing was ever heard, late after sound.

    Args:
        rate_hz: Rate of the audio; with two interleaved channels, twice that.
        name: Name of the device, for the warnings.
        system: Value of ``platform.system()``; None for this machine.
    """

    def __init__(self, rate_hz: int, system: str | None = None, *, name: str = "the microphone") -> None:
        self._rate_hz = rate_hz
        self._hint = silence_hint(platform.system() if system is None else system)
        self._name = name
        self._samples = 0
        self._silent_samples = 0
        self._silence_warning_sent = False
        self._has_sound = False
        self._quiet_samples = 0
        self._loud_samples = 0
        self._quiet_warning_sent = False
        self._clips: deque[int] = deque(maxlen=CLIPS_A_SECOND + 1)
        self._full_scale_tail: NDArray[np.bool_] | None = None
        self._clipping_warning_at: int | None = None

    @property
    def all_silent(self) -> bool:
        """True if there were samples and all of them were zero."""
        return self._samples > 0 and not self._has_sound

    def take(self, pcm: bytes) -> list[tuple[str, str]]:
        """Check the next block.

        Args:
            pcm: s16le; may be empty.

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
        """Return the warning for silence that was too short for :meth:`take`, at the end of the audio."""
        long_enough = self._samples >= SILENT_RUN_S * self._rate_hz
        return self._silence_warning() if self.all_silent and long_enough else []

    def _take_zeros(self, samples: int) -> list[tuple[str, str]]:
        self._full_scale_tail = None
        self._silent_samples += samples
        patience_s = SILENT_AFTER_SOUND_S if self._has_sound else SILENT_S
        return self._silence_warning() if self._silent_samples >= patience_s * self._rate_hz else []

    def _silence_warning(self) -> list[tuple[str, str]]:
        if self._silence_warning_sent:
            return []
        self._silence_warning_sent = True
        if self._has_sound:
            return [("silent_input", f"no sound from {self._name} for {SILENT_AFTER_SOUND_S:g} s: {self._hint}")]
        return [("silent_input", f"no sound at all from {self._name}: {self._hint}")]

    def _take_sound(self, samples: NDArray[np.int16]) -> list[tuple[str, str]]:
        import numpy as np

        self._silent_samples, self._silence_warning_sent, self._has_sound = 0, False, True
        wide = samples.astype(np.float32)
        mean_square = float(np.dot(wide, wide)) / samples.size
        if mean_square >= (FULL_SCALE * 10 ** (QUIET_DBFS / 20)) ** 2:
            self._loud_samples += samples.size
            self._quiet_samples = 0
            return []
        self._quiet_samples += samples.size
        loud_enough = self._loud_samples >= LOUD_ENOUGH_S * self._rate_hz
        if loud_enough or self._quiet_warning_sent or self._quiet_samples < QUIET_S * self._rate_hz:
            return []
        self._quiet_warning_sent = True
        level = f"{10 * math.log10(mean_square / FULL_SCALE**2):.0f} dBFS"
        return [("quiet_input", f"{self._name} is very quiet ({level}): speak closer to it, or turn its level up")]

    def _take_peaks(self, samples: NDArray[np.int16], lowest: int, highest: int) -> list[tuple[str, str]]:
        if lowest > -FULL_SCALE + 1 and highest < FULL_SCALE - 1:
            self._full_scale_tail = None
            return []
        warn = False
        for at in self._clipped(samples):
            self._clips.append(self._samples + at)
            frequent = len(self._clips) > CLIPS_A_SECOND and self._clips[-1] - self._clips[0] <= self._rate_hz
            warn = warn or (frequent and self._clipping_warning_due())
        if not warn:
            return []
        self._clipping_warning_at = self._samples
        return [("clipping", f"{self._name} is too loud and clips: turn its level down")]

    def _clipping_warning_due(self) -> bool:
        last = self._clipping_warning_at
        return last is None or self._samples - last >= CLIPPING_EVERY_S * self._rate_hz

    def _clipped(self, samples: NDArray[np.int16]) -> list[int]:
        """Positions in the block where a clip reaches its length. The clip may start in the previous block."""
        import numpy as np

        row = CLIPPED_IN_A_ROW
        before = np.zeros(row, dtype=np.bool_) if self._full_scale_tail is None else self._full_scale_tail
        full = np.concatenate((before, (samples >= FULL_SCALE - 1) | (samples <= -FULL_SCALE + 1)))
        self._full_scale_tail = full[-row:]
        rows = full[: -row + 1].copy()
        for shift in range(1, row):
            rows &= full[shift : full.size - row + 1 + shift]
        # Entry 0 is the row that ends with the previous block; entry n ends with sample n of this block.
        positions: list[int] = np.flatnonzero(rows[1:] & ~rows[:-1]).tolist()
        return positions
