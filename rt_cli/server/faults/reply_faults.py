"""Faults of replies at their source, so that the session describes them as its own: late, cut."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from rt_cli.audio.format import BYTES_PER_SAMPLE, to_samples
from rt_cli.server.faults.values import Span
from rt_cli.server.replies.interface import OUTPUT_RATE_HZ, Audio, ReplyFailed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from rt_cli.server.faults.grammar import Fault
    from rt_cli.server.replies.interface import Part, Replier, ReplyRequest


class FaultyReplier:
    """The replies of another replier, with the faults of one connection.

    Args:
        replier: Creates the replies.
        active: The active faults by index, those of other kinds included. Every reply is an occasion of each.
        fires: Gets the index of a fault; returns whether it happens to this reply.
        seconds: Draws a time from a range for a fault, by its index.
    """

    def __init__(
        self,
        replier: Replier,
        active: Mapping[int, Fault],
        fires: Callable[[int], bool],
        seconds: Callable[[Span, int], float],
    ) -> None:
        self._replier = replier
        self._active = active
        self._fires = fires
        self._seconds = seconds
        self.needs_words = replier.needs_words
        self.notice = replier.notice

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[Part, None]:
        """Yield the parts.

        Raises:
            ReplyFailed: On request, or by the replier.
        """
        await asyncio.sleep(sum(self._drawn("late")))
        limit_s = min(self._drawn("cut"), default=None)
        async with aclosing(self._replier.reply(request)) as parts:
            left = None if limit_s is None else to_samples(limit_s * 1000, OUTPUT_RATE_HZ) * BYTES_PER_SAMPLE
            async for part in parts:
                if left is None or not isinstance(part, Audio):
                    yield part
                    continue
                if part.pcm[:left]:
                    yield Audio(part.pcm[:left])
                if len(part.pcm) > left:
                    break
                left -= len(part.pcm)
        if left is not None:
            raise ReplyFailed("The reply was cut on request.")

    def _drawn(self, name: str) -> list[float]:
        """The times of the faults of this name that happen to the next reply."""
        faults = [(index, fault.value) for index, fault in sorted(self._active.items()) if fault.name == name]
        return [self._seconds(span, index) for index, span in faults if isinstance(span, Span) and self._fires(index)]
