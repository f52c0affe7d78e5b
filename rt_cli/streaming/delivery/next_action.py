"""What is sent next, how much of it, and when at the earliest. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rt_cli.audio.speech.gate import SendRange


@dataclass(frozen=True, slots=True)
class ChunkSizes:
    """Samples in a chunk."""

    usual: int
    most: int
    """When more than that is waiting."""

    @property
    def fixed(self) -> bool:
        """Whether somebody asked for this size."""
        return self.usual == self.most


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
class Skip:
    """Leave so many samples out."""

    samples: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Leave so many samples out that were to be sent, and have waited for too long."""

    samples: int


@dataclass(frozen=True, slots=True)
class Wait:
    """There is nothing to do yet."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Everything is sent and nothing more will come."""


def decide(
    *,
    sent: int,
    known: int,
    captured: int,
    ended: bool,
    closes: int | None,
    sizes: ChunkSizes,
    send_range: SendRange | None = None,
    oldest: int = 0,
) -> Send | Skip | GiveUp | CommitTurn | Wait | Finish:
    """What to do next.

    Args:
        sent: Timeline position up to which everything is sent.
        known: Position up to which it is known where turns close.
        captured: Position up to which there is sound.
        ended: No more will come.
        closes: Where the next turn closes, if that is known; at or behind ``sent``.
        sizes: Of chunks.
        send_range: What is to be done from ``sent`` on; None where everything is sent.
        oldest: Position before which nothing is sent any more, whatever is known of it.
    """
    if closes == sent:
        return CommitTurn()
    if sent < min(oldest, known):
        return GiveUp(min(oldest, known) - sent)
    limit = min(known, captured if send_range is None else send_range.until)
    if closes is not None:
        limit = min(limit, closes)
    length = limit - sent
    if length <= 0:
        return Finish() if ended and sent == captured else Wait()
    if send_range is not None and not send_range.sent:
        return Skip(length)
    edge = send_range is not None and send_range.ends and limit == send_range.until
    last = edge or limit == closes or (ended and limit == captured)
    if length < sizes.usual and not last:
        return Wait()
    samples = min(length, sizes.most if length >= 2 * sizes.usual else sizes.usual)
    return Send(samples, alike=length // samples - 1)


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

    def take_now(self, samples: int, now: float) -> bool:
        """Take so many if they may go now, or none."""
        spent_until = self._spent_after(samples, now)
        if spent_until > now:
            return False
        self._spent_until = spent_until
        return True

    def take(self, samples: int, now: float) -> float:
        """Take so many; returns when they may go, seconds."""
        self._spent_until = self._spent_after(samples, now)
        return self._spent_until

    def _spent_after(self, samples: int, now: float) -> float:
        return max(self._spent_until, now - self._burst_s) + samples / self._rate
