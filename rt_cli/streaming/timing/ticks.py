"""Common moments for whatever looks at something now and then: one wake-up serves all, and costs more than the looks.

A process that sleeps is woken for some hundred microseconds of CPU, whatever it then does. Chunks of a file that keeps
real time are due at these moments, too.
"""

from __future__ import annotations

import math

BEAT_S = 0.1
_NEARLY = 0.01
"""Of a beat; what is so near counts as reached, so that rounding makes nobody wait for the same beat again."""


def next_tick(moment: float, since: float, every_s: float = BEAT_S) -> float:
    """The next common moment, in seconds, like all of these; later than ``moment``.

    Args:
        moment: Of the same clock.
        since: When the beat began.
        every_s: A multiple of the beat.
    """
    return since + (math.floor((moment - since) / every_s + _NEARLY) + 1) * every_s
