"""Listens, and lets an agent answer each connection; what its clients did."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from tests.standins.conversation.agent import AgentTalk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

    Event = dict[str, Any]


@dataclass
class Agent:
    """The agent, and what its clients did.

    Args:
        talk: Its protocol.
        calls_tools: Whether it calls a tool before it replies to a turn, for every second turn.
        pause_s: Between two deltas.
        transcribes: Whether it writes down what the user says.
        lifetime_s: After so long a session ends, with close 1001.
    """

    talk: type[AgentTalk] = AgentTalk
    calls_tools: bool = False
    pause_s: float = 0.0
    transcribes: bool = True
    lifetime_s: float | None = None
    port: int = 0
    connections: int = 0
    received: list[Event] = field(default_factory=list)
    """Everything but audio."""
    replies: Counter[str] = field(default_factory=Counter)
    """How often a reply to a turn was begun."""
    truncated: list[tuple[str, int]] = field(default_factory=list)
    """The turn whose reply was cut, and where, ms."""
    refusals: list[str] = field(default_factory=list)
    """Codes of the errors that clients caused."""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Agent]:
        """Listen during the block."""
        options: Any = {"compression": None, "max_size": None, "close_timeout": 0.2, "ping_interval": None}
        async with serve(self._call, "127.0.0.1", 0, process_request=self._admit, **options) as server:
            self.port = server.sockets[0].getsockname()[1]
            yield self

    def sent(self, kind: str) -> list[Event]:
        """Return the client events of a type."""
        return [event for event in self.received if event["type"] == kind]

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        parts = urlsplit(request.path)
        if self.talk.admits(parts.path, parse_qs(parts.query)):
            return None
        return connection.respond(HTTPStatus.NOT_FOUND, "no such endpoint\n")

    async def _call(self, connection: ServerConnection) -> None:
        self.connections += 1
        try:
            async with asyncio.timeout(self.lifetime_s):
                await self.talk(connection, self, self.connections).hold()
        except TimeoutError:
            await connection.close(1001, "session expired")
        except ConnectionClosed:
            pass
