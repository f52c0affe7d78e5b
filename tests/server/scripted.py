"""A replier and a recogniser with scripted output."""

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
    """Yields scripted parts in order.

    Args:
        script: Parts of the reply; waits for an asyncio.Event, raises an exception.
        needs_words: See :class:`rt_cli.server.replies.interface.Replier`.
    """

    notice = None

    def __init__(self, *script: Part | asyncio.Event | ReplyFailed, needs_words: bool = False) -> None:
        self.needs_words = needs_words
        self.requests: list[ReplyRequest] = []
        self.ended = asyncio.Event()
        """A reply is over, however it ended."""
        self._script = script

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[Part, None]:
        """Yield the parts."""
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
    """Recognises the same text in every item.

    Args:
        text: Sent as two partial texts and as the final text.
        failure: Raised instead of the final text.
    """

    def __init__(self, text: str, failure: str | None = None) -> None:
        self.hints: list[Hints] = []
        self._text = text
        self._failure = failure

    async def open(self, rate_hz: int, hints: Hints = NO_HINTS) -> _Heard:  # noqa: ARG002 - interface
        """Start an item."""
        self.hints.append(hints)
        return _Heard(self._text, self._failure)


class _Heard:
    def __init__(self, text: str, failure: str | None) -> None:
        self._text = text
        self._failure = failure
        self._finished = asyncio.Event()

    async def feed(self, pcm: bytes) -> None:
        """Ignore the audio."""

    def pause(self) -> None:
        """Do nothing."""

    def finish(self) -> None:
        """End the item."""
        self._finished.set()

    abandon = finish

    async def hypotheses(self) -> AsyncIterator[Hypothesis]:
        """Two partial texts, then the final text or the failure."""
        yield Hypothesis(self._text)
        yield Hypothesis(self._text)
        await self._finished.wait()
        for _ in range(50):  # code that does not wait for the words continues first
            await asyncio.sleep(0)
        if self._failure is not None:
            raise RecognizerFailed(self._failure)
        yield Hypothesis(self._text, final=True)
