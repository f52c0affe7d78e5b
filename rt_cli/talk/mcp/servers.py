"""All servers of a conversation: started together, ended together."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError
from rt_cli.masking import is_secret_field, protect
from rt_cli.talk.mcp.connection import McpConnection
from rt_cli.talk.mcp.guard import Guard
from rt_cli.talk.mcp.mcp_tool import make_tools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from rt_cli.events import EventHandler
    from rt_cli.talk.mcp.server_file import McpServer
    from rt_cli.talk.tools.tool_set import ToolSet

_LIBRARIES = ("mcp", "httpx2", "httpcore2")
"""Libraries that log what a server says, which is no line for a terminal."""


class McpServers:
    """The connections to servers.

    Args:
        connections: One for each.
    """

    def __init__(self, connections: Sequence[McpConnection]) -> None:
        self._connections = connections

    async def offer(self, tools: ToolSet) -> None:
        """Wait until all servers run, and add their tools. Safe to cancel.

        Raises:
            RtError: A server cannot be used; or a tool of it cannot, or has the name of another.
        """
        listed = await asyncio.gather(*(connection.listed() for connection in self._connections))
        for connection, listed_tools in zip(self._connections, listed, strict=True):
            server = connection.server
            made = make_tools(server, listed_tools, connection)
            hint = 'give the server another "prefix", or leave the tool out of its "tools"'
            tools.add(made, server.label, hint)

    def stop(self) -> None:
        """Let all servers end, those that start, too."""
        for connection in self._connections:
            connection.stop()


def _protect(server: McpServer) -> None:
    """Mask the secrets of a server, which it may repeat."""
    headers = list(server.headers.values())
    protect(
        [value for name, value in server.env.items() if is_secret_field(name)],
        [*headers, *(value.split()[-1] for value in headers if value.strip())],
    )


@asynccontextmanager
async def open_servers(
    servers: Sequence[McpServer], own_key: str | None, on_event: EventHandler
) -> AsyncIterator[McpServers]:
    """Run servers during the block. At its end all their processes have ended.

    Args:
        servers: The servers.
        own_key: Of the endpoint: no server gets it.
        on_event: Receives a warning for each that ends by itself.

    Raises:
        UsageError: A server would get our key.
    """
    for server in servers:
        texts = (*server.command, *server.env.values(), *server.headers.values())
        if own_key and any(own_key in text for text in texts):
            raise UsageError(f"{server.label} would get the key of the endpoint", "give it a key of its own")
        _protect(server)
    for name in _LIBRARIES:
        logger = logging.getLogger(name)
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
    guard = Guard()
    connections = [McpConnection(server, guard, on_event) for server in servers]
    tasks = [asyncio.create_task(each.run(), name=f"mcp {each.server.name[:40]}") for each in connections]
    opened = McpServers(connections)
    try:
        yield opened
    finally:
        opened.stop()
        await asyncio.wait(tasks)
        await guard.close()
    for task in tasks:
        task.result()
