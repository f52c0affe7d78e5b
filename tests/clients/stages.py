"""Endpoints for clients of others: each a real server on port 0, by the name that scenarios use."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from rt_cli.server.access.tls import server_context
from rt_cli.server.faults.grammar import parse
from rt_cli.server.replies.registry import open_replier
from rt_cli.server.server import LocalServer, serve
from rt_cli.server.session.session import ServerSession
from tests.server.chat_server import Exchange, chat_server
from tests.server.scripted import SPOKEN, Scripted
from tests.servers import CERTIFICATE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

    from rt_cli.server.replies.interface import Replier

TOKEN = "a-token-of-the-tests"
"""The key of every client; only the stage ``guarded`` asks for it."""
STAGES = ("echo", "words", "endless", "agent", "guarded", "expiring")
"""Replies of the stages, in order: echo; echo with recognised words; half a sentence, then nothing until an
interruption; text of a chat server that calls a tool; any, with a required key; any, in a first session that expires
after a second."""


@asynccontextmanager
async def stage(name: str, *faults: str, tls: bool = False) -> AsyncIterator[LocalServer]:
    """The endpoint with this name, optionally with faults.

    Args:
        name: One of ``STAGES``.
        faults: Specs as for ``--fault``.
        tls: Serve wss, with the tests' certificate.
    """
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(
            serve(
                recognizer="pocketsphinx" if name == "words" else "none",
                token=TOKEN if name == "guarded" else None,
                tls=server_context(CERTIFICATE, None) if tls else None,
                replier=await _replier(stack, name),
                faults=parse([*faults, *(["expire=1s#1"] if name == "expiring" else [])]),
            )
        )


def leave_out(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Break all endpoints: remove this field from all events."""
    send_event = ServerSession._send_event  # noqa: SLF001 - where all events pass

    async def send_without_field(session: ServerSession, event: dict[str, Any]) -> None:
        await send_event(session, {name: value for name, value in event.items() if name != field})

    send_without_field.__name__ = send_event.__name__  # it may be called again
    monkeypatch.setattr(ServerSession, send_event.__name__, send_without_field)


async def _replier(stack: AsyncExitStack, name: str) -> Replier | None:
    if name == "endless":
        return Scripted(*SPOKEN, asyncio.Event())
    if name == "agent":
        chat = await stack.enter_async_context(chat_server(_think))
        return await stack.enter_async_context(open_replier("text", llm=chat.url))
    return await stack.enter_async_context(open_replier("echo"))


async def _think(exchange: Exchange) -> None:
    """Call the tool, then repeat its result."""
    await exchange.head()
    last = exchange.body["messages"][-1]
    if last["role"] == "tool":
        await exchange.delta(content="It is ")
        await exchange.delta(content=f"{last['content']}.")
        await exchange.end()
        return
    function = {"name": exchange.body["tools"][0]["function"]["name"], "arguments": '{"zone": "UTC"}'}
    await exchange.delta(tool_calls=[{"index": 0, "id": "call_1", "function": function}])
    await exchange.end("tool_calls")
