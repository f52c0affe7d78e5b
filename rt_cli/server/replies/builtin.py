"""Repliers without dependencies: echo of the user's audio, and a fixed sentence."""

from __future__ import annotations

import asyncio
import string
from typing import TYPE_CHECKING

from rt_cli.audio.format import BYTES_PER_SAMPLE, to_samples
from rt_cli.errors import UsageError
from rt_cli.server.replies.interface import PIECE_MS, Audio, Part, Pieces, ReplyRequest, Text, is_by_user, last_words

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

NO_WORDS = "I heard you, but there are no words for it."
"""The reply of the default template to a turn without transcript."""


DEFAULT_TEMPLATE = "You said: {transcript}"


class Echo:
    """Returns the user's turn."""

    needs_words = False
    notice = None

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


class Template:
    """A sentence with placeholders.

    ``{transcript}`` is the text of the user's last message, ``{turn}`` the number of the user's messages in the
    conversation, ``{instructions}`` the session's instructions; ``{{`` is a brace.

    Args:
        text: The sentence.

    Raises:
        UsageError: The text is empty or has unknown placeholders.
    """

    GAPS = ("transcript", "turn", "instructions")

    def __init__(self, text: str) -> None:
        hint = "gaps are {transcript}, {turn} and {instructions}; {{ is a brace"
        try:
            gaps = [(name, spec, conversion) for _, name, spec, conversion in string.Formatter().parse(text)]
        except ValueError as exc:
            raise UsageError(f"--reply-text cannot be read: {exc}", hint) from None
        for name, spec, conversion in gaps:
            if name is not None and (name not in self.GAPS or spec or conversion):
                raise UsageError(f"--reply-text has the gap {{{name}}}", hint)
        if not text.strip():
            raise UsageError("--reply-text is empty", "--reply none says nothing")
        self.text = text
        self.needs_words = any(name == "transcript" for name, _, _ in gaps)

    def fill(self, request: ReplyRequest) -> str:
        """Fill the placeholders for a request."""
        return self.text.format(
            transcript=last_words(request.items),
            turn=sum(is_by_user(item) for item in request.items),
            instructions=request.instructions or "",
        )


class FixedReply:
    """Replies with a sentence. Yields text only: a reply with audio gets a transcript without sound.

    Args:
        template: The sentence; None: the default template, or :data:`NO_WORDS` for a turn without transcript.
    """

    notice = None

    def __init__(self, template: Template | None) -> None:
        self._has_template = template is not None
        self._template = template or Template(DEFAULT_TEMPLATE)
        self.needs_words = self._template.needs_words

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[Part, None]:
        """Yield the sentence as one text."""
        no_words = not self._has_template and not last_words(request.items)
        text = NO_WORDS if no_words else self._template.fill(request)
        if text.strip():
            yield Text(text)
