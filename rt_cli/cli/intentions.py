"""What a signal that ends the program means, by the time at which it comes. Pure."""

from __future__ import annotations

import math
from enum import Enum, auto

SAME_INTENTION_S = 0.25
"""Signals this close together are one intention."""


class Intention(Enum):
    """What whoever sends the signal wants."""

    END = auto()
    """The end, with the words of what was captured."""
    HURRY = auto()
    """The end without waiting for anybody."""
    EXIT = auto()
    """The end of the process, at once."""
    REPEATED = auto()
    """Nothing more than the signal just before."""


_STEPS = (Intention.END, Intention.HURRY, Intention.EXIT)


class Intentions:
    """The intentions of one process, from the times of its signals.

    ``timeout`` signals the process and then its group, a service manager sends SIGTERM together with SIGHUP: what comes
    within 250 ms of the first signal of an intention belongs to it, whatever its number. The time does not start anew
    with each signal, so that somebody who goes on pressing Ctrl-C gets through.
    """

    def __init__(self) -> None:
        self._count = 0
        self._since = -math.inf

    def receive(self, now: float) -> Intention:
        """Return what a signal at ``now``, monotonic seconds, means."""
        if now - self._since < SAME_INTENTION_S:
            return Intention.REPEATED
        self._since = now
        self._count += 1
        return _STEPS[min(self._count, len(_STEPS)) - 1]
