"""Recognisers without an engine: every item's text is empty, or an item fails."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from rt_cli.server.recognition.interface import NO_HINTS, Hypothesis, RecognizerFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rt_cli.server.recognition.interface import Hints, RecognizerSession, Transcription


class NullRecognizer:
    """Every item's text is empty."""

    languages: frozenset[str] | None = None

    def __init__(self, notice: str) -> None:
        self.notice = notice

    @asynccontextmanager
    async def session(self) -> AsyncIterator[RecognizerSession]:
        """A session without words."""
        yield _NullSession()


class _NullSession:
    async def open(self, rate_hz: int, hints: Hints = NO_HINTS) -> Transcription:  # noqa: ARG002 - the seam's
        return NullTranscription()


class NullTranscription:
    """A transcription without an engine: an empty text, or a failure, at the end of the item.

    Args:
        failure: Why there will be no text; None where an empty one is right.
    """

    def __init__(self, failure: str | None = None) -> None:
        self._failure = failure
        self._finished = asyncio.Event()

    async def feed(self, pcm: bytes) -> None:
        """Takes everything at once."""

    def pause(self) -> None:
        """Nothing to pause."""

    def finish(self) -> None:
        """Lets :meth:`hypotheses` end."""
        self._finished.set()

    abandon = finish

    async def hypotheses(self) -> AsyncIterator[Hypothesis]:
        """The empty text, once the item is finished; raises RecognizerFailed instead where there is a failure."""
        await self._finished.wait()
        if self._failure is not None:
            raise RecognizerFailed(self._failure)
        yield Hypothesis("", final=True)
