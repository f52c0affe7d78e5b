"""The repliers by name: check the options of ``--reply NAME``, open the author of the text and the replier.

A new replier is a file with its opener, and a line in the table.
"""

from __future__ import annotations

import math
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rt_cli.server.replies.interface import Replier

_ROOM = "rt_cli.server.replies"


@dataclass(frozen=True, slots=True)
class ReplyKind:
    """A line of the table. Nothing of a replier is imported before it is asked for."""

    name: str
    module: str
    opener: str
    """Function of the module that opens a :class:`Replier`, or None; takes the author if there is one."""
    no_author: str = ""
    """Why nobody writes a text for it; empty: it takes ``--reply-text`` and ``--llm``."""


REPLIES = {
    kind.name: kind
    for kind in (
        ReplyKind("none", f"{_ROOM}.none", "open_none", "--reply none says nothing"),
        ReplyKind("text", f"{_ROOM}.text", "open_text"),
        ReplyKind("echo", f"{_ROOM}.echo", "open_echo", "echo says your turn back"),
        ReplyKind("voice", f"{_ROOM}.voice", "open_voice"),
        ReplyKind("counted", f"{_ROOM}.counted", "open_counted"),
    )
}
AUTHORED = tuple(kind.name for kind in REPLIES.values() if not kind.no_author)
"""The repliers that say what an author writes."""


@asynccontextmanager
async def open_replier(
    name: str,
    *,
    reply_text: str | None = None,
    llm: str | None = None,
    llm_model: str | None = None,
    speed: float = math.inf,
) -> AsyncIterator[Replier | None]:
    """Open the replier of a server; its processes and connections end with the block.

    Args:
        name: One of :data:`REPLIES`; ``none`` yields None.
        reply_text: Sentence of the author, see :class:`rt_cli.server.replies.text.Template`.
        llm: URL of an OpenAI-compatible chat server that is the author.
        llm_model: Model name for the chat server; None: the server's default.
        speed: Pace of the audio in multiples of real time; infinity: as soon as it exists.

    Raises:
        UsageError: The options conflict, or an extra is not installed.
    """
    kind = REPLIES[name]
    _check(kind, reply_text, llm, llm_model)
    open_reply = getattr(import_module(kind.module), kind.opener)
    async with AsyncExitStack() as stack:
        author = [] if kind.no_author else [await _open_author(stack, reply_text, llm, llm_model)]
        replier = await stack.enter_async_context(open_reply(*author))
        if replier is None or math.isinf(speed):
            yield replier
            return
        from rt_cli.server.replies.pace import Paced

        yield Paced(replier, speed)


async def _open_author(
    stack: AsyncExitStack, reply_text: str | None, llm: str | None, llm_model: str | None
) -> Replier:
    if llm is None:
        from rt_cli.server.replies.text import FixedReply, Template

        return FixedReply(None if reply_text is None else Template(reply_text))
    from rt_cli.server.replies.chat import open_chat

    return await stack.enter_async_context(open_chat(llm, llm_model))


def _check(kind: ReplyKind, reply_text: str | None, llm: str | None, llm_model: str | None) -> None:
    takers = " or ".join(AUTHORED)
    if llm is not None and kind.no_author:
        raise UsageError(kind.no_author, f"--llm needs --reply {takers}")
    if reply_text is not None and kind.no_author:
        raise UsageError(f"--reply-text does not go with --reply {kind.name}", f"it needs --reply {takers}")
    if reply_text is not None and llm is not None:
        raise UsageError("--reply-text and --llm both say what to reply", "give one of them")
    if llm_model is not None and llm is None:
        raise UsageError("--llm-model names a model of the chat server", "give --llm URL with it")
