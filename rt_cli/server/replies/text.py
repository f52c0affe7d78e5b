"""Replies as text: of an author, by default a fixed sentence, and calls of the tools that the user names."""

from __future__ import annotations

import string
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError
from rt_cli.server.replies.interface import Part, ReplyRequest, Text, is_by_user, last_words
from rt_cli.server.replies.named_tools import named_calls, outputs

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from rt_cli.server.replies.interface import Replier

NO_WORDS = "I heard you, but there are no words for it."
"""The reply of the default template to a turn without transcript."""
DEFAULT_TEMPLATE = "You said: {transcript}"
OUTPUT_TEMPLATE = "The tool says: {output}"
"""The default template after calls of tools."""


@asynccontextmanager
async def open_text(author: Replier) -> AsyncIterator[Replier]:
    """Open a replier that says what the author writes."""
    yield author


class Template:
    """A sentence with placeholders.

    ``{transcript}`` is the text of the user's last message, ``{turn}`` the number of the user's messages in the
    conversation, ``{instructions}`` the session's instructions, ``{output}`` what the tools returned that this message
    has called; ``{{`` is a brace.

    Args:
        text: The sentence.

    Raises:
        UsageError: The text is empty or has unknown placeholders.
    """

    GAPS = ("transcript", "turn", "instructions", "output")

    def __init__(self, text: str) -> None:
        hint = "gaps are {transcript}, {turn}, {instructions} and {output}; {{ is a brace"
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
            output=" ".join(outputs(request.items)),
        )


class FixedReply:
    """Calls the tools that the user names, else replies with a sentence.

    Yields text and calls only: a reply with audio gets a transcript without sound.

    Args:
        template: The sentence; None: the default templates, or :data:`NO_WORDS` for a turn without transcript.
    """

    notice = None

    def __init__(self, template: Template | None) -> None:
        self._template = template
        self.needs_words = template is None or template.needs_words

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[Part, None]:
        """Yield the calls, or the sentence as one text."""
        calls = named_calls(request)
        for call in calls:
            yield call
        text = "" if calls else self._sentence(request)
        if text.strip():
            yield Text(text)

    def _sentence(self, request: ReplyRequest) -> str:
        if self._template is not None:
            return self._template.fill(request)
        if outputs(request.items):
            return Template(OUTPUT_TEMPLATE).fill(request)
        return Template(DEFAULT_TEMPLATE).fill(request) if last_words(request.items) else NO_WORDS
