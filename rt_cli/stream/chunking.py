"""What is sent next, how much of it, and when at the earliest. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ChunkSizes:
    """Samples in a chunk."""

    usual: int
    most: int
    """When more than that is waiting."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send so many samples."""

    samples: int
    alike: int = field(default=0, compare=False)
    """Chunks of the same size that may follow at once, since nothing can come between."""


@dataclass(frozen=True, slots=True)
class CommitTurn:
    """The turn ends here."""


@dataclass(frozen=True, slots=True)
class Wait:
    """There is nothing to do yet."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Everything is sent and nothing more will come."""


def decide(
    *, sent: int, known: int, captured: int, ended: bool, closes: int | None, sizes: ChunkSizes
) -> Send | CommitTurn | Wait | Finish:
    """What to do next.

    Args:
        sent: Timeline position up to which everything is sent.
        known: Position up to which it is known where turns close.
        captured: Position up to which there is sound.
        ended: No more will come.
        closes: Where the next turn closes, if that is known; at or behind ``sent``.
        sizes: Of chunks.
    """
    if closes == sent:
        return CommitTurn()
    limit = known if closes is None else min(known, closes)
    stretch = limit - sent
    last = limit == closes or (ended and limit == captured)
    if stretch >= sizes.usual or (stretch > 0 and last):
        samples = min(stretch, sizes.most if stretch >= 2 * sizes.usual else sizes.usual)
        return Send(samples, alike=stretch // samples - 1)
    return Finish() if ended and sent == captured else Wait()


class Allowance:
    """How fast may be sent: a bucket that fills at a rate and holds so much. Pure.

    Args:
        now: Seconds.
        rate: Samples per second; ``inf`` for any.
        burst: Samples that may go at once.
    """

    def __init__(self, now: float, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst_s = burst / rate
        self._spent_until = now - self._burst_s

    @property
    def unlimited(self) -> bool:
        """Whether anything may go at any time."""
        return self._rate == math.inf

    def take(self, samples: int, now: float) -> float:
        """Take so many; returns when they may go, seconds."""
        self._spent_until = max(self._spent_until, now - self._burst_s) + samples / self._rate
        return self._spent_until
