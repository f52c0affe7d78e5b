"""The next action of the pump: what to send, how much, and when at the earliest. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from rt_cli.audio.speech.gate import SendRange


class ChunkSizes(Struct, frozen=True):
    """Sizes of chunks in samples."""

    usual: int
    most: int
    """Size while at least two usual chunks are waiting."""

    @property
    def fixed(self) -> bool:
        """Whether the chunk size is configured."""
        return self.usual == self.most


class Send(Struct, frozen=True):
    """Send ``samples`` samples."""

    samples: int
    alike: int = 0
    """Further chunks of the same size that may follow at once: no commit and no skip lies between."""


class CommitTurn(Struct, frozen=True):
    """Commit: the turn ends here."""


class Skip(Struct, frozen=True):
    """Leave out ``samples`` samples: the gate or push to talk excludes them."""

    samples: int


class GiveUp(Struct, frozen=True):
    """Drop ``samples`` samples that have waited for too long."""

    samples: int


class Wait(Struct, frozen=True):
    """Wait for more audio or analysis."""


class Finish(Struct, frozen=True):
    """All audio is sent and capture has ended."""


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
    """Return the next action.

    Args:
        sent: Timeline position up to which all audio is sent.
        known: Position up to which the ends of turns are known.
        captured: Position up to which audio is captured.
        ended: Capture has ended.
        closes: Where the next turn closes, at or after ``sent``; None if unknown.
        sizes: Chunk sizes.
        send_range: The range at ``sent``: sent or left out; None if all audio is sent.
        oldest: Position before which no audio is sent any more (``--on-full drop-oldest``).
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
    """Limits the speed of sending: a token bucket. Pure.

    Args:
        now: Time, seconds.
        rate: Samples per second; ``inf`` for no limit.
        burst: Samples that may be sent at once.
    """

    def __init__(self, now: float, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst_s = burst / rate
        self._available_at = now - self._burst_s

    @property
    def unlimited(self) -> bool:
        """Whether there is no limit."""
        return self._rate == math.inf

    def take_now(self, samples: int, now: float) -> bool:
        """Take ``samples`` tokens if available at ``now``; False if not."""
        available_at = self._available_after(samples, now)
        if available_at > now:
            return False
        self._available_at = available_at
        return True

    def take(self, samples: int, now: float) -> float:
        """Take ``samples`` tokens. Return the time from which the samples may be sent, seconds."""
        self._available_at = self._available_after(samples, now)
        return self._available_at

    def _available_after(self, samples: int, now: float) -> float:
        return max(self._available_at, now - self._burst_s) + samples / self._rate
