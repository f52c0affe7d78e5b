"""A replier whose audio comes at a pace, instead of as soon as it exists."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from rt_cli.audio.format import BYTES_PER_SAMPLE, to_samples
from rt_cli.clock import SystemClock
from rt_cli.server.replies.interface import OUTPUT_RATE_HZ, Audio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from rt_cli.clock import Clock
    from rt_cli.server.replies.interface import Part, Replier, ReplyRequest

PIECE_MS = 20
_PIECE_BYTES = to_samples(PIECE_MS, OUTPUT_RATE_HZ) * BYTES_PER_SAMPLE


class Paced:
    """Passes on the parts of another replier, its audio in pieces of 20 ms, each when it is due.

    Audio that comes too late moves all that follows: no burst makes up for it.

    Args:
        replier: Creates the replies.
        speed: Pace in multiples of real time, finite and above 0.
        clock: Source of the time.
    """

    def __init__(self, replier: Replier, speed: float, clock: Clock | None = None) -> None:
        self._replier = replier
        self._speed = speed
        self._clock = clock or SystemClock()
        self.needs_words = replier.needs_words
        self.notice = replier.notice

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[Part, None]:
        """Yield the parts in order; text after the audio before it, calls likewise."""
        due = self._clock.now()
        async with aclosing(self._replier.reply(request)) as parts:
            async for part in parts:
                if not isinstance(part, Audio):
                    yield part
                    continue
                due = max(due, self._clock.now())
                for start in range(0, len(part.pcm), _PIECE_BYTES):
                    piece = part.pcm[start : start + _PIECE_BYTES]
                    await self._clock.sleep_until(due)
                    yield Audio(piece)
                    due += len(piece) / BYTES_PER_SAMPLE / OUTPUT_RATE_HZ / self._speed
