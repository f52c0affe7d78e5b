"""The WebSocket connection. Objects and errors of ``websockets`` do not leave this module."""

from __future__ import annotations

import asyncio
import itertools
import logging
import struct
import time
from typing import TYPE_CHECKING, Any, cast

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as websockets_connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidStatus,
    WebSocketException,
)
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import State

try:
    from websockets.speedups import apply_mask
except ImportError:  # no wheel with the extension for this machine
    from websockets.utils import apply_mask

from rt_cli import __version__
from rt_cli.masking import plain_escapes, without_secrets
from rt_cli.protocol.message import Binary
from rt_cli.protocol.message_log import shown
from rt_cli.protocol.redaction import protect_endpoint
from rt_cli.protocol.sanitize import printable_id
from rt_cli.streaming.transport.frames import Framer, is_pong
from rt_cli.streaming.transport.map_errors import from_close, from_connect
from rt_cli.streaming.transport.tls import tls_context

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from websockets.http11 import Request, Response

    from rt_cli.protocol.endpoint.endpoint import Endpoint
    from rt_cli.protocol.server_events import ErrorInfo
    from rt_cli.streaming.transport.wire_recorder import ConnectionLog

log = logging.getLogger("rt.wire")

CLOSE_TIMEOUT_S = 1.0
_LARGEST_MESSAGE = 32 * 1024 * 1024
"""A conversation item with its audio can exceed the library's 1 MiB."""
_LONGEST_HEAD = 16 * 1024
"""Bytes of the handshake's answer that are kept, for its status."""
_REQUEST_ID_HEADERS = ("x-request-id", "apim-request-id")
_MESSAGES_PER_TURN = 32
"""Messages that a reader may take in one turn of the event loop: thousands may be waiting."""


class _NullTransport(asyncio.Transport):
    """Replaces a transport that has ended.

    The library aborts the transport in many error cases. The transport of asyncio fails if it is aborted after it was
    closed and has flushed its buffer.
    """

    def abort(self) -> None:
        """Do nothing: the connection has ended."""


class _MeteredConnection(ClientConnection):
    """Records the time of the last inbound byte and the state of the write buffer; writes its own frames.

    All frames of a call are one write, because a write costs more than all other work on a chunk of audio. A part of a
    large message is a sign of life, too.
    """

    inbound_at = 0.0
    writable = True

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.answer = bytearray()
        """Start of what the peer sent while the connection was being opened."""
        self._late_pong: bytes | None = None
        self._framer = Framer(apply_mask)
        self._ping_numbers = itertools.count()

    def write_at_once(self, messages: Sequence[bytes]) -> None:
        """Write messages. Only while open and ``writable``."""
        self.transport.write(self._framer.frames(messages))

    def ping_at_once(self, behind: Sequence[bytes] = ()) -> asyncio.Future[float]:
        """Write messages and a ping. Return a future of the pong. Only while open and ``writable``."""
        payload = struct.pack("!Q", next(self._ping_numbers))
        pong = self.loop.create_future()
        self.pending_pings[payload] = (pong, self.loop.time())
        self.transport.write(self._framer.frames(behind, payload))
        return pong

    def cut(self) -> None:
        """End the connection now. Idempotent."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Record the time; the library does the rest."""
        self.inbound_at = time.monotonic()
        if self.protocol.state is State.CONNECTING:
            self.answer += data[: _LONGEST_HEAD - len(self.answer)]
        super().data_received(data)

    def send_data(self) -> None:
        """Write what the library has to send; of the pongs that wait for a full buffer only the last one.

        A pong answers all pings before it (RFC 6455 section 5.5.3). A peer that only pings would fill the memory.
        """
        for data in self.protocol.data_to_send():
            if not self.writable and is_pong(data):
                self._late_pong = data
            else:
                self.protocol.writes.append(data)
                super().send_data()

    def pause_writing(self) -> None:
        """Record that the buffer is full; the library does the rest."""
        self.writable = False
        super().pause_writing()

    def resume_writing(self) -> None:
        """Record that the buffer has room again; the library does the rest."""
        self.writable = True
        super().resume_writing()
        pong, self._late_pong = self._late_pong, None
        if pong is not None and self.protocol.state is State.OPEN:
            self.transport.write(pong)

    def connection_lost(self, exc: Exception | None) -> None:
        """Replace the transport after the library has finished with it."""
        super().connection_lost(exc)
        self.transport = _NullTransport()


class _RecordingConnection(_MeteredConnection):
    """Writes everything that crosses the connection to a wire log, at the time of crossing.

    Args:
        wire_log: The log of this connection.
        args: Arguments of the library.
        options: Options of the library.
    """

    def __init__(self, wire_log: ConnectionLog, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._wire_log = wire_log
        self._fragments: list[Frame] = []

    async def send(self, message: Any, text: bool | None = None) -> None:  # noqa: FBT001 - the library's own flag
        if self.protocol.state is State.OPEN:  # before the wait for room: the reply may arrive earlier
            self._wire_log.sent(message)
        await super().send(message, text=text)

    def write_at_once(self, messages: Sequence[bytes]) -> None:
        super().write_at_once(messages)
        for message in messages:
            self._wire_log.sent(message)

    async def ping(self, data: Any = None) -> Awaitable[float]:
        if self.protocol.state is State.OPEN:
            self._wire_log.ping("out")
        return await super().ping(data)

    def ping_at_once(self, behind: Sequence[bytes] = ()) -> asyncio.Future[float]:
        pong = super().ping_at_once(behind)
        for message in behind:
            self._wire_log.sent(message)
        self._wire_log.ping("out")
        return pong

    async def close(self, code: int = 1000, reason: str = "") -> None:
        if self.protocol.state is State.OPEN:
            self._wire_log.closed("out", code, reason)
        await super().close(code, reason)

    def cut(self) -> None:
        self._wire_log.cut("out")
        super().cut()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wire_log.cut("in")
        super().connection_lost(exc)

    def process_event(self, event: Request | Response | Frame) -> None:
        """Log the handshake and frames; the library does the rest."""
        super().process_event(event)
        if isinstance(event, Frame):
            self._log_frame(event)
        elif self.protocol.handshake_exc is None and self.request is not None:  # before frames of the same packet
            self._wire_log.opened(self.request.headers.raw_items(), event.headers.raw_items())

    def _log_frame(self, frame: Frame) -> None:
        match frame.opcode:
            case Opcode.CLOSE:
                close = Close.parse(bytes(frame.data))
                self._wire_log.closed("in", close.code, close.reason)
            case Opcode.PING:
                self._wire_log.ping("in")
                self._wire_log.pong("out")  # the library answers by itself
            case Opcode.PONG:
                self._wire_log.pong("in")
            case _:
                self._fragments.append(frame)
                if frame.fin:
                    whole = b"".join(bytes(piece.data) for piece in self._fragments)
                    self._wire_log.received(whole, text=self._fragments[0].opcode is Opcode.TEXT)
                    self._fragments.clear()


class _Connect(websockets_connect):
    """Follows no redirect: the key belongs to the configured host only."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Treat a redirect as a refusal."""
        return exc


class Connection:
    """An open WebSocket; made by :func:`connect`.

    Args:
        websocket: The connection of the library.
    """

    def __init__(self, websocket: _MeteredConnection) -> None:
        self._websocket = websocket
        self._received = 0
        self._debug = log.isEnabledFor(logging.DEBUG)
        websocket.inbound_at = time.monotonic()

    @property
    def inbound_at(self) -> float:
        """Time of the last inbound byte, seconds of ``time.monotonic``."""
        return self._websocket.inbound_at

    @property
    def request_id(self) -> str | None:
        """The endpoint's own name of the handshake, printable; None if it has none."""
        response = self._websocket.response
        names = () if response is None else map(response.headers.get_all, _REQUEST_ID_HEADERS)
        return next((printable_id(values[0]) for values in names if values), None)

    @property
    def ready(self) -> bool:
        """Whether a write needs no waiting: the connection is open and its buffer has room."""
        websocket = self._websocket
        return websocket.writable and websocket.protocol.state is State.OPEN

    async def send(self, messages: Sequence[bytes]) -> None:
        """Write messages; waits while the write buffer is full.

        Do not cancel it: the messages are delivered anyway. Raises ConnectionLost if the connection has ended.
        """
        self._log_sent(messages)
        try:
            for message in messages:
                await self._websocket.send(message, text=not isinstance(message, Binary))
        except ConnectionClosed as exc:
            raise from_close(exc, None) from exc

    def send_at_once(self, messages: Sequence[bytes]) -> None:
        """Write messages in one piece. Only while ``ready``."""
        self._log_sent(messages)
        self._websocket.write_at_once(messages)

    def ping_at_once(self, behind: Sequence[bytes] = ()) -> Awaitable[object]:
        """Write messages and a ping in one piece. Return an awaitable of the pong. Only while ``ready``."""
        self._log_sent(behind)
        return self._websocket.ping_at_once(behind)

    async def ping(self) -> Awaitable[object]:
        """Write a ping. Return a future of its pong, done before any message behind it is received; do not cancel it.

        Raises:
            RtError: The connection ended before. The future then fails in any way.
        """
        try:
            return await self._websocket.ping()
        except ConnectionClosed as exc:
            raise from_close(exc, None) from exc

    async def round_trip(self) -> None:
        """Write a ping, and wait for its pong. Raises RtError if the connection ends. Safe to cancel."""
        try:
            await asyncio.shield(await self._websocket.ping())
        except ConnectionClosed as exc:
            raise from_close(exc, None) from exc

    async def receive(self, last_error: ErrorInfo | None = None) -> str | bytes:
        """Return the next message, without the secrets of the run. Safe to cancel.

        Other tasks have their turn even if messages come faster than they can be read.

        Args:
            last_error: The last ``error`` event, which explains a close better than the close code.

        Raises:
            RtError: The connection ended; the class depends on the cause.
        """
        self._received += 1
        if self._received % _MESSAGES_PER_TURN == 0:
            await asyncio.sleep(0)
        try:
            message = await self._websocket.recv()
        except ConnectionClosed as exc:
            raise from_close(exc, last_error, limit_bytes=_LARGEST_MESSAGE) from exc
        message = without_secrets(plain_escapes(message)) if isinstance(message, str) else message
        if self._debug:
            log.debug("< %s", shown(message))
        return message

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection with a handshake of one second at most, then cut it. Cancellation cuts it at once."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._websocket.close(code, reason)
        except TimeoutError:
            log.debug("no answer to the close within %g s: cut", CLOSE_TIMEOUT_S)
        finally:
            self.abort()

    def abort(self) -> None:
        """Cut the connection now. A reader gets ConnectionLost, a writer at its next call. Idempotent."""
        self._websocket.cut()

    def _log_sent(self, messages: Sequence[bytes]) -> None:
        if self._debug:
            for message in messages:
                log.debug("> %s", shown(message))


async def connect(endpoint: Endpoint, *, timeout_s: float, wire_log: ConnectionLog | None = None) -> Connection:
    """Open a connection. Cancellation leaves nothing open.

    Args:
        endpoint: The endpoint.
        timeout_s: Limit for DNS, TCP, TLS and the handshake together.
        wire_log: Receives everything that crosses the wire.

    Raises:
        RtError: The connection failed; the class depends on the cause.
    """
    log.debug("connecting to %s", endpoint.shown)
    protect_endpoint(endpoint)
    opened: list[_MeteredConnection] = []

    def create(*args: Any, **options: Any) -> _MeteredConnection:
        opened.append(
            _MeteredConnection(*args, **options)
            if wire_log is None
            else _RecordingConnection(wire_log, *args, **options)
        )
        return opened[-1]

    try:
        websocket = await _Connect(
            endpoint.url,
            additional_headers=(*endpoint.headers, *endpoint.more_headers),
            user_agent_header=f"rt/{__version__}",
            compression=None,
            max_size=_LARGEST_MESSAGE,
            ping_interval=None,
            open_timeout=timeout_s,
            close_timeout=CLOSE_TIMEOUT_S,
            proxy=endpoint.proxy or (None if endpoint.loopback else True),
            ssl=tls_context(endpoint.trust) if endpoint.url.startswith("wss:") else None,
            create_connection=create,  # type: ignore[arg-type]  # a function that makes a subclass
        )
    except (WebSocketException, OSError, TimeoutError, ValueError, EOFError, ImportError) as exc:
        error = from_connect(exc, endpoint, timeout_s, bytes(opened[-1].answer) if opened else b"")
        if wire_log is not None:
            wire_log.failed(error.message, exc.response.status_code if isinstance(exc, InvalidStatus) else None)
        raise error from exc
    return Connection(cast("_MeteredConnection", websocket))
