"""A replier that says what a test tells it to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rt_cli.local.replies import Audio, Call, Part, ReplyFailed, Text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from rt_cli.local.replies import ReplyRequest

PIECE = Audio(b"\1\2" * 4_800)
"""200 ms."""
SPOKEN = (Text("Good "), PIECE, Text("day."), PIECE)
CALL = Call("call_1", "weather", '{"city":"Prague"}')


class Scripted:
    """Says its parts in their order.

    Args:
        script: Parts; an event is waited for, a failure raised.
        needs_words: As the seam has it.
    """

    notice = None

    def __init__(self, *script: Part | asyncio.Event | ReplyFailed, needs_words: bool = False) -> None:
        self.needs_words = needs_words
        self.requests: list[ReplyRequest] = []
        self.ended = asyncio.Event()
        """A reply is over, however it ended."""
        self._script = script

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[Part, None]:
        """The parts."""
        self.requests.append(request)
        try:
            for part in self._script:
                if isinstance(part, asyncio.Event):
                    await part.wait()
                elif isinstance(part, ReplyFailed):
                    raise part
                else:
                    yield part
        finally:
            self.ended.set()
