"""Replier that returns the user's turn as sound."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from rt_cli.audio.format import BYTES_PER_SAMPLE, to_samples
from rt_cli.server.replies.interface import PIECE_MS, Audio, Part, Pieces, ReplyRequest, Text, last_words
from rt_cli.server.replies.text import NO_WORDS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from rt_cli.server.replies.interface import Replier


@asynccontextmanager
async def open_echo() -> AsyncIterator[Replier]:
    """Open the replier, which needs nothing."""
    yield Echo()


class Echo:
    """Returns the user's turn.

    Args:
        needs_words: Whether a spoken turn is returned only once its words are known.
    """

    notice = None

    def __init__(self, *, needs_words: bool = False) -> None:
        self.needs_words = needs_words

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[Part, None]:
        """Yield the transcript, if known, then the audio."""
        words = last_words(request.items)
        if not request.with_audio:
            yield Text(words or NO_WORDS)
            return
        if words:
            yield Text(words)
        pieces = Pieces(request.audio_rate_hz)
        step = to_samples(PIECE_MS, request.audio_rate_hz) * BYTES_PER_SAMPLE
        for start in range(0, len(request.audio), step):
            for pcm in pieces.push(request.audio[start : start + step]):
                yield Audio(pcm)
            await asyncio.sleep(0)  # let other sessions run during a long turn
        for pcm in pieces.flush():
            yield Audio(pcm)
