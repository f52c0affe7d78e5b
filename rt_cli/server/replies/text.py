"""Replies as text: of an author, by default a fixed sentence."""

from __future__ import annotations

import string
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError
from rt_cli.server.replies.interface import Part, ReplyRequest, Text, is_by_user, last_words

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from rt_cli.server.replies.interface import Replier

NO_WORDS = "I heard you, but there are no words for it."
"""The reply of the default template to a turn without transcript."""
DEFAULT_TEMPLATE = "You said: {transcript}"


@asynccontextmanager
async def open_text(author: Replier) -> AsyncIterator[Replier]:
    """Open a replier that says what the author writes."""
    yield author


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
