"""Common moments for periodic checks: one wake-up of the process serves all of them.

A wake-up costs some hundred microseconds of CPU, more than the checks themselves. Chunks of a file sent in real time
are due at these moments, too.
"""

from __future__ import annotations

import math

TICK_S = 0.1
GRID_S = 0.01
"""All sessions of a process start on this grid, so that their moments are few."""
_TOLERANCE = 0.01
"""Share of a tick. A tick this near counts as reached, so that rounding does not return the same tick twice."""


def on_grid(moment: float) -> float:
    """Return the last moment of the grid that is not after ``moment``, seconds of the same clock."""
    return math.floor(moment / GRID_S) * GRID_S


def next_tick(moment: float, since: float, every_s: float = TICK_S) -> float:
    """Return the next common moment after ``moment``, seconds of the same clock.

    Args:
        moment: A time, seconds.
        since: Time of the first tick, seconds.
        every_s: A multiple of the tick, seconds.
    """
    return since + (math.floor((moment - since) / every_s + _TOLERANCE) + 1) * every_s
