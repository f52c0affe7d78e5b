"""A small server of ``/v1/audio/transcriptions`` on port 0 with scripted answers and failures."""

from __future__ import annotations

import asyncio
import email
import email.policy
import io
import json
import wave
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Script = Callable[["Upload"], Awaitable[None]]


@dataclass
class Upload:
    """A request, and the connection for its answer."""

    path: str
    headers: dict[str, str]
    fields: dict[str, str]
    wav: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def rate_hz(self) -> int:
        """The sample rate of the upload."""
        with wave.open(io.BytesIO(self.wav)) as file:
            return file.getframerate()

    @property
    def pcm(self) -> bytes:
        """The samples of the upload."""
        with wave.open(io.BytesIO(self.wav)) as file:
            return file.readframes(file.getnframes())

    async def raw(self, data: bytes) -> None:
        """Send raw bytes."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, body: Any, status: str = "200 OK") -> None:
        """Send a complete answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        await self.raw(head.encode() + data)

    async def stream(self) -> None:
        """Start a streamed answer."""
        await self.raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")

    async def event(self, data: Any) -> None:
        """Send an event as one chunk."""
        text = data if isinstance(data, str) else json.dumps(data)
        chunk = f"data: {text}\n\n".encode()
        await self.raw(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")

    async def end(self) -> None:
        """End the stream."""
        await self.raw(b"0\r\n\r\n")


@dataclass
class Server:
    """The uploads in order."""

    url: str
    uploads: list[Upload] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """A client was gone before it had its answer."""
    at_once: int = 0
    most_at_once: int = 0
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, upload: Upload) -> None:
        """Count an upload."""
        self.uploads.append(upload)
        self._came.set()

    async def received(self, number: int) -> None:
        """Wait for this number of uploads."""
        while len(self.uploads) < number:
            self._came.clear()
            await self._came.wait()


@asynccontextmanager
async def transcription_server(script: Script) -> AsyncIterator[Server]:
    """Run the server while the block runs; ``script`` answers each request."""
    server = Server("")
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            while (upload := await _read(reader, writer)) is not None:
                server.take(upload)
                server.at_once += 1
                server.most_at_once = max(server.most_at_once, server.at_once)
                try:
                    await _answer(script, upload, server)
                finally:
                    server.at_once -= 1
        except (ConnectionError, asyncio.CancelledError):
            server.left.set()
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 26)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


async def _answer(script: Script, upload: Upload, server: Server) -> None:
    """Answer, unless the client disconnects first."""
    answering = asyncio.ensure_future(script(upload))
    leaving = asyncio.ensure_future(upload.reader.read(1))
    try:
        await asyncio.wait([answering, leaving], return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            server.left.set()
            raise ConnectionResetError
        await answering
    finally:
        for each in (answering, leaving):
            each.cancel()
        await asyncio.wait([answering, leaving])


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Upload | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, _, rest = head.decode().partition("\r\n")
    headers = {key.lower(): value for key, value in email.message_from_string(rest).items()}
    body = await reader.readexactly(int(headers["content-length"]))
    form = email.message_from_bytes(
        f"Content-Type: {headers['content-type']}\r\n\r\n".encode() + body, policy=email.policy.HTTP
    )
    fields, wav = {}, b""
    for part in form.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        if name == "file":
            wav = content
        else:
            fields[str(name)] = content.decode()
    return Upload(first.split()[1], headers, fields, wav, reader, writer)
