"""A server by streamable HTTP: its messages, bounded, and the status of what it answers."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from httpx2 import AsyncByteStream, AsyncClient, StreamError, Timeout
from mcp.client.streamable_http import streamable_http_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from httpx2 import Response
    from mcp.client._transport import TransportStreams

    from rt_cli.talk.mcp.server_file import McpServer

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""Longest message of a server."""


@asynccontextmanager
async def http_streams(server: McpServer, on_status: Callable[[int], None]) -> AsyncIterator[TransportStreams]:
    """Connect during the block. At its end, or by cancellation, the session is ended.

    Args:
        server: With a URL.
        on_status: Receives the status of each response.

    Yields:
        Messages of the server, and messages to it.
    """
    assert server.url is not None  # noqa: S101 - the caller has looked

    async def on_response(response: Response) -> None:
        on_status(response.status_code)
        # The library bounds the events of a stream, and reads any other answer whole.
        if not response.headers.get("content-type", "").lower().startswith("text/event-stream"):
            response.stream = _Bounded(response.stream)

    async with (
        AsyncClient(
            # Of a compressed answer the length says nothing.
            headers={"Accept-Encoding": "identity", **server.headers},
            timeout=Timeout(server.start_timeout_s, read=None),
            event_hooks={"response": [on_response]},
        ) as http,
        streamable_http_client(server.url, http_client=http, max_sse_event_size=MAX_MESSAGE_BYTES) as streams,
    ):
        yield streams


class _Bounded(AsyncByteStream):
    """The body of an answer, up to the longest message.

    Args:
        stream: The body.
    """

    def __init__(self, stream: object) -> None:
        assert isinstance(stream, AsyncByteStream)  # noqa: S101 - of an asynchronous client
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MAX_MESSAGE_BYTES
        async for piece in self._stream:
            left -= len(piece)
            if left < 0:
                raise StreamError(f"the answer is longer than {MAX_MESSAGE_BYTES} bytes")
            yield piece

    async def aclose(self) -> None:
        """Close the body."""
        await self._stream.aclose()
