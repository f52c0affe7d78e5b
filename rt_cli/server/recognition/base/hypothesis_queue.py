"""Queue of hypotheses between an engine and a reader that may be slow."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from rt_cli.server.recognition.interface import Hypothesis, RecognizerFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_KEPT = 64
"""Most queued hypotheses. A slow reader needs only the newest ones."""


class HypothesisQueue:
    """The hypotheses of one item: any number of partial ones, then a final one or a failure."""

    def __init__(self) -> None:
        self._hypotheses: deque[Hypothesis] = deque(maxlen=_KEPT)
        self._failure: str | None = None
        self._changed = asyncio.Event()

    def put(self, hypothesis: Hypothesis) -> None:
        """Add a hypothesis; returns at once."""
        self._hypotheses.append(hypothesis)
        self._changed.set()

    def fail(self, reason: str) -> None:
        """End the queue with a failure; returns at once."""
        self._failure = reason
        self._changed.set()

    async def hypotheses(self) -> AsyncIterator[Hypothesis]:
        """Iterate over the hypotheses; the final one is the last. Safe to cancel.

        Raises:
            RecognizerFailed: The item has failed.
        """
        while True:
            while self._hypotheses:
                hypothesis = self._hypotheses.popleft()
                yield hypothesis
                if hypothesis.final:
                    return
            if self._failure is not None:
                raise RecognizerFailed(self._failure)
            self._changed.clear()
            await self._changed.wait()
