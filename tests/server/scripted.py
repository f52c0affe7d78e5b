"""A replier that says, and a recogniser that hears, what a test tells them to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rt_cli.server.recognition.interface import NO_HINTS, Hints, Hypothesis, RecognizerFailed
from rt_cli.server.replies.interface import Audio, Call, Part, ReplyFailed, Text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from rt_cli.server.replies.interface import ReplyRequest

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


class ScriptedSession:
    """Hears the same in every item.

    Args:
        text: Once as a partial, once more, and as the final text.
        failure: Comes instead of the final text.
    """

    def __init__(self, text: str, failure: str | None = None) -> None:
        self.hints: list[Hints] = []
        self._text = text
        self._failure = failure

    async def open(self, rate_hz: int, hints: Hints = NO_HINTS) -> _Heard:  # noqa: ARG002 - the seam's
        """Begin an item."""
        self.hints.append(hints)
        return _Heard(self._text, self._failure)


class _Heard:
    def __init__(self, text: str, failure: str | None) -> None:
        self._text = text
        self._failure = failure
        self._finished = asyncio.Event()

    async def feed(self, pcm: bytes) -> None:
        """Takes everything at once."""

    def pause(self) -> None:
        """Nothing to pause."""

    def finish(self) -> None:
        """The end is due."""
        self._finished.set()

    abandon = finish

    async def hypotheses(self) -> AsyncIterator[Hypothesis]:
        """As the script says."""
        yield Hypothesis(self._text)
        yield Hypothesis(self._text)
        await self._finished.wait()
        for _ in range(50):  # whoever does not wait for the words goes on without them
            await asyncio.sleep(0)
        if self._failure is not None:
            raise RecognizerFailed(self._failure)
        yield Hypothesis(self._text, final=True)
