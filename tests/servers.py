"""Scripted endpoints: real WebSocket servers with a script, and bare TCP servers, on port 0."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import threading
from base64 import b64decode
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from websockets.http11 import Request, Response

CERTIFICATE = Path(__file__).parent / "data" / "localhost.pem"
"""Self-signed, with its key, for localhost and 127.0.0.1; valid until 2120."""
CLIENT = Path(__file__).parent / "data" / "client.pem"
"""Self-signed, with its key, for a client."""
_RST = struct.pack("ii", 1, 0)
_DEADLINE_S = 10

Event = dict[str, Any]


class Client:
    """A connected client, for a script.

    Args:
        connection: Of the library.
        server: Notes the client's events, as they came.
    """

    def __init__(self, connection: ServerConnection, server: Server) -> None:
        self.connection = connection
        self.last: Event = {}
        """The last event of the client."""
        self._server = server
        self._items = 0

    async def say(self, kind: str, **fields: object) -> None:
        """Send an event."""
        await self.connection.send(json.dumps({"type": kind, "event_id": "event_of_the_script", **fields}))

    async def fail(self, code: str, message: str = "as the script says", **fields: object) -> None:
        """Send an ``error`` event."""
        error = {"type": "invalid_request_error", "code": code, "message": message, "param": None, **fields}
        await self.say("error", error=error)

    async def next(self) -> Event:
        """Return the next event of the client."""
        self.last = json.loads(await self.connection.recv())
        self._server.note(self.last)
        return self.last

    async def until(self, kind: str) -> Event:
        """Read up to an event of a type."""
        while (event := await self.next())["type"] != kind:
            pass
        return event

    async def greet(self) -> None:
        """``session.created``, and ``session.updated`` as the answer to the client's update."""
        await self.say("session.created", session={"id": "sess_1"})
        update = await self.until("session.update")
        await self.say("session.updated", session=update["session"])

    async def commit(self) -> str:
        """Send an item for the sound so far; return its id."""
        self._items += 1
        item = f"item_{self._items}"
        previous = f"item_{self._items - 1}" if self._items > 1 else None
        await self.say("input_audio_buffer.committed", item_id=item, previous_item_id=previous)
        for kind in ("added", "done"):
            await self.say(f"conversation.item.{kind}", item={"id": item}, previous_item_id=previous)
        return item

    async def complete(self, item: str, text: str) -> None:
        """Send the final of an item."""
        kind = "conversation.item.input_audio_transcription.completed"
        await self.say(kind, item_id=item, content_index=0, transcript=text)

    async def close(self, code: int, reason: str = "") -> None:
        """Close the connection with a close frame."""
        await self.connection.close(code, reason)

    def cut(self) -> None:
        """Reset the TCP connection."""
        raw = self.connection.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
        self.connection.transport.abort()


Script = Callable[[Client], Awaitable[None]]
"""What to do with each client that connects; when it returns, the connection is closed with 1000."""


@dataclass
class Server:
    """A running endpoint, and its received events."""

    port: int = 0
    secure: bool = False
    asks: bool = False
    clients: int = 0
    received: list[Event] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    """Of each handshake, with names in lower case."""
    news: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        """For ``--url``."""
        return f"{'wss' if self.secure else 'ws'}://127.0.0.1:{self.port}"

    @property
    def audio(self) -> bytes:
        """Return all received sound, PCM16."""
        return b"".join(b64decode(event["audio"]) for event in self.received if "audio" in event)

    def note(self, event: Event) -> None:
        """Record an event of a client."""
        with self.news:
            self.received.append(event)
            self.news.notify_all()

    def wait_for(self, kind: str, count: int = 1) -> None:
        """Wait for this many events of a type; fails after ten seconds."""

        def come() -> bool:
            return len([event for event in self.received if event["type"] == kind]) >= count

        with self.news:
            arrived = self.news.wait_for(come, _DEADLINE_S)
        assert arrived, f"no {kind}; there came {self.kinds()}"

    def kinds(self) -> list[str]:
        """Return the types of the events, without repetitions in a row."""
        kinds = [event["type"] for event in self.received]
        return [kind for at, kind in enumerate(kinds) if at == 0 or kinds[at - 1] != kind]


@contextmanager
def scripted(
    script: Script,
    *,
    secure: bool = False,
    asks: bool = False,
    answer: Callable[[ServerConnection, Request], Response | None] | None = None,
) -> Iterator[Server]:
    """Run a WebSocket endpoint in its own thread during the block.

    Args:
        script: For each client.
        secure: TLS with :data:`CERTIFICATE`.
        asks: Require the certificate :data:`CLIENT`.
        answer: Answers a handshake over HTTP; None lets the WebSocket open.

    Raises:
        Exception: Any exception of the script, unless the client has disconnected.
    """
    server = Server(secure=secure or asks, asks=asks)
    running = _Running(server, script, answer)
    thread = threading.Thread(target=running.main, name="scripted endpoint")
    thread.start()
    try:
        assert running.ready.wait(_DEADLINE_S), "the endpoint did not start"
        yield server
    finally:
        running.end()
        thread.join(_DEADLINE_S)
    assert not thread.is_alive(), "the endpoint did not end"
    if running.failures:
        raise running.failures[0]


class _Running:
    """The event loop of a scripted endpoint."""

    def __init__(
        self,
        server: Server,
        script: Script,
        answer: Callable[[ServerConnection, Request], Response | None] | None,
    ) -> None:
        self.ready = threading.Event()
        self.failures: list[Exception] = []
        self._server = server
        self._script = script
        self._answer = answer
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()
        self._handlers: set[asyncio.Task[Any]] = set()

    def main(self) -> None:
        """Run until :meth:`end`."""
        asyncio.run(self._serve())

    def end(self) -> None:
        """End the loop, from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ended.set)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        # A small buffer, so that a script without reads stops the client soon: unread data stays in the network.
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        async with serve(
            self._handle,
            sock=listening,
            ssl=_tls(asks=self._server.asks) if self._server.secure else None,
            process_request=self._admit,
            compression=None,
            max_queue=1,
            ping_interval=None,
            close_timeout=0.2,
        ) as running:
            self._server.port = running.sockets[0].getsockname()[1]
            self.ready.set()
            await self._ended.wait()
            for handler in self._handlers:
                handler.cancel()

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        self._server.headers.append({name.lower(): value for name, value in request.headers.raw_items()})
        return None if self._answer is None else self._answer(connection, request)

    async def _handle(self, connection: ServerConnection) -> None:
        self._server.clients += 1
        handler = asyncio.current_task()
        assert handler is not None
        self._handlers.add(handler)
        try:
            with suppress(ConnectionClosed):
                await self._script(Client(connection, self._server))
        except Exception as exc:  # noqa: BLE001 - raised again in the test
            self.failures.append(exc)
        finally:
            self._handlers.discard(handler)
            if self._ended.is_set():
                connection.transport.abort()


def _tls(*, asks: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    if asks:
        context.load_verify_locations(CLIENT)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


# -- scripts ----------------------------------------------------------------------------------------------------------


async def for_ever() -> None:
    """Do nothing, and read nothing."""
    await asyncio.Event().wait()


def polite(*texts: str) -> Script:
    """Greets, and answers each commit with the next text, then always with the last one."""

    async def script(client: Client) -> None:
        await client.greet()
        answers = list(texts)
        while True:
            await client.until("input_audio_buffer.commit")
            text = answers.pop(0) if len(answers) > 1 else answers[0]
            await client.complete(await client.commit(), text)

    return script


def says_then_closes(error: str | None, code: int, reason: str = "", message: str = "as the script says") -> Script:
    """Sends an ``error`` event, if any, then a close, instead of a greeting."""

    async def script(client: Client) -> None:
        if error is not None:
            await client.fail(error, message)
        await client.close(code, reason)

    return script


async def never_creates(client: Client) -> None:
    """Never sends ``session.created``; reads and answers pings."""
    await client.until("nothing")


async def never_updates(client: Client) -> None:
    """Greets and never sends ``session.updated``."""
    await client.say("session.created", session={"id": "sess_1"})
    await client.until("nothing")


async def never_transcribes(client: Client) -> None:
    """Answers commits with an item, and never sends a transcript."""
    await client.greet()
    while True:
        await client.until("input_audio_buffer.commit")
        await client.commit()


async def never_answers(client: Client) -> None:
    """Greets, reads everything, and sends nothing."""
    await client.greet()
    await client.until("nothing")


async def stops_reading(client: Client) -> None:
    """Greets, reads some audio, and then reads nothing, not even pings."""
    await client.greet()
    await client.until("input_audio_buffer.append")
    await for_ever()


async def cannot_transcribe(client: Client) -> None:
    """Sends a failure for every transcription."""
    await client.greet()
    while True:
        await client.until("input_audio_buffer.commit")
        await client.say(
            "conversation.item.input_audio_transcription.failed",
            item_id=await client.commit(),
            content_index=0,
            error={"type": "server_error", "code": "audio_unintelligible", "message": "cannot make it out"},
        )


# -- peers that are no endpoint ---------------------------------------------------------------------------------------


@contextmanager
def answering(status: int, body: str = "", **headers: str) -> Iterator[Server]:
    """An endpoint that answers every handshake with an HTTP status."""

    def answer(connection: ServerConnection, _request: Request) -> Response:
        response = connection.respond(HTTPStatus(status), body)
        for name, value in headers.items():
            response.headers[name.replace("_", "-")] = value
        return response

    with scripted(polite("never said"), answer=answer) as server:
        yield server


@contextmanager
def silent() -> Iterator[Server]:
    """Accepts TCP connections, and neither reads nor writes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield Server(port=listening.getsockname()[1])


@contextmanager
def blurting(data: bytes) -> Iterator[Server]:
    """Sends data to every client, and closes the connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            with suppress(OSError):  # closed by the end of the block
                while True:
                    connection, _ = listening.accept()
                    with connection:
                        connection.sendall(data)
                        connection.shutdown(socket.SHUT_WR)
                        while connection.recv(4096):
                            pass

        thread = threading.Thread(target=accept, name="blurting peer")
        thread.start()
        try:
            yield Server(port=listening.getsockname()[1])
        finally:
            # Only shutdown() wakes a blocked accept(), close() does not.
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(_DEADLINE_S)


@contextmanager
def nobody() -> Iterator[Server]:
    """Yield a port without a listener."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield Server(port=bound.getsockname()[1])
