"""A small chat server on port 0 with scripted answers and failures."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Script = Callable[["Exchange"], Awaitable[None]]


@dataclass
class Exchange:
    """A request, and the connection for its answer."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def head(self, status: str = "200 OK", kind: str = "text/event-stream") -> None:
        """Start a chunked answer."""
        lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", "Transfer-Encoding: chunked", "", ""]
        await self.raw("\r\n".join(lines).encode())

    async def chunk(self, data: bytes) -> None:
        """Send a chunk of the body; an empty one ends the body."""
        await self.raw(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def event(self, data: Any) -> None:
        """Send an event."""
        text = data if isinstance(data, str) else json.dumps(data)
        await self.chunk(f"data: {text}\n\n".encode())

    async def delta(self, **delta: Any) -> None:
        """Send an event with a delta."""
        await self.event({"choices": [{"index": 0, "delta": delta}]})

    async def end(self, reason: str = "stop") -> None:
        """Send the finish reason and the end of the stream."""
        await self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        await self.event("[DONE]")
        await self.chunk(b"")

    async def whole(self, status: str, text: str, kind: str = "application/json") -> None:
        """Send an answer that is not streamed."""
        await self.head(status, kind)
        await self.chunk(text.encode())
        await self.chunk(b"")

    async def gone(self) -> None:
        """Wait until the client disconnects."""
        await self.reader.read()

    async def raw(self, data: bytes) -> None:
        """Send raw bytes."""
        self.writer.write(data)
        await self.writer.drain()


@dataclass
class ChatServer:
    """The requests so far."""

    url: str = ""
    seen: list[Exchange] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """A script has come to its end, its client's departure included where it waits for that."""


@asynccontextmanager
async def chat_server(script: Script) -> AsyncIterator[ChatServer]:
    """A server that answers every request with ``script``, one per connection."""
    server = ChatServer()
    async with asyncio.TaskGroup() as tasks:

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
                body = json.loads(await reader.readexactly(int(headers["content-length"])))
                exchange = Exchange(head[0].split()[1], headers, body, reader, writer)
                server.seen.append(exchange)
                await script(exchange)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass  # a test may disconnect at any time
            finally:
                server.left.set()
                writer.close()

        listener = await asyncio.start_server(
            lambda reader, writer: tasks.create_task(serve(reader, writer)) and None, "127.0.0.1", 0
        )
        server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        async with listener:
            yield server
