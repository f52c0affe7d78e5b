"""Opens the replier of ``--reply NAME``."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Literal

from rt_cli.errors import UsageError
from rt_cli.server.replies.builtin import Echo, FixedReply, Template

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rt_cli.server.replies.interface import Replier

ReplyName = Literal["none", "text", "echo", "voice"]


@asynccontextmanager
async def open_replier(
    name: ReplyName, *, reply_text: str | None = None, llm: str | None = None, llm_model: str | None = None
) -> AsyncIterator[Replier | None]:
    """Open the replier of a server; its processes and connections end with the block.

    Args:
        name: ``none`` yields None.
        reply_text: Sentence for ``text`` and ``voice``, see :class:`Template`.
        llm: URL of an OpenAI-compatible chat server that writes the text for ``text`` and ``voice``.
        llm_model: Model name for the chat server; None: the server's default.

    Raises:
        UsageError: The options conflict, or an extra is not installed.
    """
    _check(name, reply_text, llm, llm_model)
    async with AsyncExitStack() as stack:
        if name == "none":
            yield None
        elif name == "echo":
            yield Echo()
        else:
            author = await _open_author(stack, reply_text, llm, llm_model)
            if name == "voice":
                from rt_cli.server.replies.voice import open_voice

                author = await stack.enter_async_context(open_voice(author))
            yield author


async def _open_author(
    stack: AsyncExitStack, reply_text: str | None, llm: str | None, llm_model: str | None
) -> Replier:
    if llm is None:
        return FixedReply(None if reply_text is None else Template(reply_text))
    from rt_cli.server.replies.chat import open_chat

    return await stack.enter_async_context(open_chat(llm, llm_model))


def _check(name: ReplyName, reply_text: str | None, llm: str | None, llm_model: str | None) -> None:
    if llm is not None and name == "echo":
        raise UsageError("echo says your turn back", "--llm needs --reply text or voice")
    if llm is not None and name == "none":
        raise UsageError("--reply none says nothing", "--llm needs --reply text or voice")
    if reply_text is not None and name in {"echo", "none"}:
        raise UsageError(f"--reply-text does not go with --reply {name}", "it needs --reply text or voice")
    if reply_text is not None and llm is not None:
        raise UsageError("--reply-text and --llm both say what to reply", "give one of them")
    if llm_model is not None and llm is None:
        raise UsageError("--llm-model names a model of the chat server", "give --llm URL with it")
