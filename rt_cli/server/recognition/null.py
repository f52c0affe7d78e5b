"""Recogniser without an engine: every item gets an empty text."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from rt_cli.server.recognition.interface import NO_HINTS, Hypothesis

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rt_cli.server.recognition.interface import Hints, Recognizer, RecognizerSession, Transcription

NO_WORDS = "no recogniser: turns are found, but their text is empty"


@asynccontextmanager
async def open_null(workers: int | None = None) -> AsyncIterator[Recognizer]:  # noqa: ARG001 - nothing to do at once
    """Open a recogniser without words."""
    yield NullRecognizer(NO_WORDS)


class NullRecognizer:
    """A recogniser that returns an empty text for every item."""

    languages: frozenset[str] | None = None

    def __init__(self, notice: str) -> None:
        self.notice = notice

    @asynccontextmanager
    async def session(self) -> AsyncIterator[RecognizerSession]:
        """Open a session without recognition."""
        yield _NullSession()


class _NullSession:
    async def open(self, rate_hz: int, hints: Hints = NO_HINTS) -> Transcription:  # noqa: ARG002 - interface
        return NullTranscription()


class NullTranscription:
    """A transcription without an engine: returns a text that is known before, at the end of the item.

    Args:
        text: The text.
    """

    def __init__(self, text: str = "") -> None:
        self._text = text
        self._finished = asyncio.Event()

    async def feed(self, pcm: bytes) -> None:
        """Ignore the audio."""

    def pause(self) -> None:
        """Do nothing."""

    def finish(self) -> None:
        """End :meth:`hypotheses`."""
        self._finished.set()

    abandon = finish

    async def hypotheses(self) -> AsyncIterator[Hypothesis]:
        """Wait for the end of the item, then yield the text."""
        await self._finished.wait()
        yield Hypothesis(self._text, final=True)
