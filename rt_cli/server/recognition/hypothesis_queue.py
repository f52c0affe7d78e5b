"""Hypotheses on their way from an engine to a reader who may be slow."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from rt_cli.server.recognition.interface import Hypothesis, RecognizerFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_KEPT = 64
"""For a reader that does not read; older ones are of no use to it."""


class HypothesisQueue:
    """What an engine has told about one item: any number of hypotheses, then a final one or a failure."""

    def __init__(self) -> None:
        self._hypotheses: deque[Hypothesis] = deque(maxlen=_KEPT)
        self._failure: str | None = None
        self._news = asyncio.Event()

    def tell(self, hypothesis: Hypothesis) -> None:
        """Pass on a hypothesis; returns at once."""
        self._hypotheses.append(hypothesis)
        self._news.set()

    def fail(self, reason: str) -> None:
        """There will be no final; returns at once."""
        self._failure = reason
        self._news.set()

    async def hypotheses(self) -> AsyncIterator[Hypothesis]:
        """The text as it grows, the final one last; raises RecognizerFailed where there is none. Safe to cancel."""
        while True:
            while self._hypotheses:
                hypothesis = self._hypotheses.popleft()
                yield hypothesis
                if hypothesis.final:
                    return
            if self._failure is not None:
                raise RecognizerFailed(self._failure)
            self._news.clear()
            await self._news.wait()
