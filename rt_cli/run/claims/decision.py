"""Who may work on a source: the decisions about its claims. Pure.

The claims on a source are files, numbered from 0. Each is created by one process, which alone writes to it; none is
ever renamed or removed. The last one counts. A claim that was given up, or whose owner is gone, is *free*: the next
number may be created, and creating a file that must not exist has one winner. Free claims stay free, so it does not
matter how old the knowledge about them is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from rt_cli.run.claims.owner import Process

REFRESH_S = 30.0
"""A claim that is worked on is refreshed this often."""
STALE_S = 300.0
"""The owner of a claim that was not refreshed for so long is taken for dead, if this machine cannot know better."""


class Phase(Enum):
    """What its owner wrote into a claim."""

    WORKING = "working"
    RELEASED = "released"
    """The owner gave up: the source failed, or was not begun."""
    DONE = "done"


class Standing(Enum):
    """What a claim means to a process that wants the source."""

    FREE = "free"
    BUSY = "busy"
    """Another process works on it."""
    DONE = "done"
    OWN = "own"
    """This process works on it, or has: the source is a copy of another one of the same run."""


@dataclass(frozen=True, slots=True)
class Look:
    """Read the claim of this number."""

    number: int


@dataclass(frozen=True, slots=True)
class Create:
    """Create the claim of this number, unless it exists: then read it."""

    number: int


def standing(phase: Phase, process: Process, age_s: float, *, own: bool = False, again: bool = False) -> Standing:
    """Return what a claim means.

    Args:
        phase: What is written in it.
        process: State of its owner.
        age_s: Time since it was last refreshed, by the clock of the file server, seconds.
        own: This process created it.
        again: What is done is to be done again.
    """
    if phase is Phase.RELEASED:
        return Standing.FREE
    if own:
        return Standing.OWN
    if phase is Phase.DONE:
        return Standing.FREE if again else Standing.DONE
    if process is Process.UNKNOWN:
        return Standing.FREE if age_s >= STALE_S else Standing.BUSY
    return Standing.BUSY if process is Process.ALIVE else Standing.FREE


def next_step(number: int, found: Standing | None) -> Look | Create | Standing:
    """Return what to do after a look at a claim.

    Args:
        number: Of the claim.
        found: What it means; None if there is none of this number.

    Returns:
        The next step; or how it stands with the source, if it is not free.
    """
    if found is None:
        return Create(number)
    return Look(number + 1) if found is Standing.FREE else found
