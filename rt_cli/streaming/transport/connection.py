"""The border to ``websockets``: its objects and its errors end here."""

from __future__ import annotations

import asyncio
import itertools
import logging
import struct
import time
from functools import partial
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
from rt_cli.protocol.codec import shown
from rt_cli.streaming.transport.frames import Framer
from rt_cli.streaming.transport.map_errors import from_close, from_connect, without
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
_SHORTEST_KEY = 8
"""Less is nobody's key, and may be part of any word."""


class _Ended(asyncio.Transport):
    """In the place of a transport that has ended.

    The library aborts the transport whenever it is in doubt, and that of asyncio breaks when it is aborted after it has
    been closed and has flushed its buffer.
    """

    def abort(self) -> None:
        """Nothing is left to cut."""


class _Metered(ClientConnection):
    """Knows when the last byte came in, and whether the write buffer takes more; writes frames of its own.

    Those of a call are one write, which costs more than all else that a chunk of audio needs. A large message half
    received is a sign of life, too.
    """

    inbound_at = 0.0
    writable = True

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._framer = Framer(apply_mask)
        self._ping_numbers = itertools.count()

    def text_at_once(self, messages: Sequence[bytes]) -> None:
        """Write text messages. Only while open and ``writable``."""
        self.transport.write(self._framer.frames(messages))

    def ping_at_once(self, behind: Sequence[bytes] = ()) -> asyncio.Future[float]:
        """Write text messages and a ping; what it returns is done when the pong is there. Under the same conditions."""
        payload = struct.pack("!Q", next(self._ping_numbers))
        pong = self.loop.create_future()
        self.pending_pings[payload] = (pong, self.loop.time())
        self.transport.write(self._framer.frames(behind, payload))
        return pong

    def cut(self) -> None:
        """End it now. Idempotent."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Note the time; the library does the rest."""
        self.inbound_at = time.monotonic()
        super().data_received(data)

    def pause_writing(self) -> None:
        """Note that the buffer is full; the library does the rest."""
        self.writable = False
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that there is room again; the library does the rest."""
        self.writable = True
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the transport once the library is done with it."""
        super().connection_lost(exc)
        self.transport = _Ended()


class _Witnessed(_Metered):
    """Everything that crosses it is kept, when it does.

    Args:
        witness: Who keeps it.
        args: The library's.
        options: The library's.
    """

    def __init__(self, witness: ConnectionLog, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._witness = witness
        self._pieces: list[Frame] = []

    async def send(self, message: Any, text: bool | None = None) -> None:  # noqa: FBT001 - the library's own flag
        if self.protocol.state is State.OPEN:  # before it waits for room: the answer may be faster
            self._witness.sent(message)
        await super().send(message, text=text)

    def text_at_once(self, messages: Sequence[bytes]) -> None:
        super().text_at_once(messages)
        for message in messages:
            self._witness.sent(message)

    async def ping(self, data: Any = None) -> Awaitable[float]:
        if self.protocol.state is State.OPEN:
            self._witness.ping("out")
        return await super().ping(data)

    def ping_at_once(self, behind: Sequence[bytes] = ()) -> asyncio.Future[float]:
        pong = super().ping_at_once(behind)
        for message in behind:
            self._witness.sent(message)
        self._witness.ping("out")
        return pong

    async def close(self, code: int = 1000, reason: str = "") -> None:
        if self.protocol.state is State.OPEN:
            self._witness.closed("out", code, reason)
        await super().close(code, reason)

    def cut(self) -> None:
        self._witness.cut("out")
        super().cut()

    def connection_lost(self, exc: Exception | None) -> None:
        self._witness.cut("in")
        super().connection_lost(exc)

    def process_event(self, event: Request | Response | Frame) -> None:
        """Keep it; the library does the rest."""
        super().process_event(event)
        if isinstance(event, Frame):
            self._keep(event)
        elif self.protocol.handshake_exc is None and self.request is not None:  # before what comes in with it
            self._witness.opened(self.request.headers.raw_items(), event.headers.raw_items())

    def _keep(self, frame: Frame) -> None:
        match frame.opcode:
            case Opcode.CLOSE:
                close = Close.parse(bytes(frame.data))
                self._witness.closed("in", close.code, close.reason)
            case Opcode.PING:
                self._witness.ping("in")
                self._witness.pong("out")  # the library answers by itself
            case Opcode.PONG:
                self._witness.pong("in")
            case _:
                self._pieces.append(frame)
                if frame.fin:
                    whole = b"".join(bytes(piece.data) for piece in self._pieces)
                    self._witness.received(whole, text=self._pieces[0].opcode is Opcode.TEXT)
                    self._pieces.clear()


class _Connect(websockets_connect):
    """Follows no redirect: the key was meant for the host that was named."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Every redirect is an answer like any other."""
        return exc


class Connection:
    """An open WebSocket; made by :func:`connect`.

    Args:
        websocket: Of the library.
        secrets: What is not repeated even if the peer repeats it.
    """

    def __init__(self, websocket: _Metered, secrets: tuple[str, ...] = ()) -> None:
        self._websocket = websocket
        self._secrets = secrets
        self._logged = log.isEnabledFor(logging.DEBUG)
        websocket.inbound_at = time.monotonic()

    @property
    def inbound_at(self) -> float:
        """When the last byte came in, seconds of ``time.monotonic``."""
        return self._websocket.inbound_at

    @property
    def ready(self) -> bool:
        """Whether a message can be written without waiting: the connection is open, and the buffer takes it."""
        websocket = self._websocket
        return websocket.writable and websocket.protocol.state is State.OPEN

    async def send(self, messages: Sequence[bytes]) -> None:
        """Write text messages; waits while the write buffer is full.

        Not to be cancelled: they are delivered anyway. Raises ConnectionLost when the connection is gone.
        """
        self._log_sent(messages)
        try:
            for message in messages:
                await self._websocket.send(message, text=True)
        except ConnectionClosed as exc:
            raise from_close(exc, None) from exc

    def send_at_once(self, messages: Sequence[bytes]) -> None:
        """Write text messages in one piece. Only while ``ready``."""
        self._log_sent(messages)
        self._websocket.text_at_once(messages)

    def ping_at_once(self, behind: Sequence[bytes] = ()) -> Awaitable[object]:
        """The same with a ping behind them; returns what is done when its pong is there. Only while ``ready``."""
        self._log_sent(behind)
        return self._websocket.ping_at_once(behind)

    async def ping(self) -> Awaitable[None]:
        """Write a ping; returns what is done when its pong is there. Not to be cancelled."""
        try:
            waiter = await self._websocket.ping()
        except ConnectionClosed as exc:
            raise from_close(exc, None) from exc
        return _pong(waiter)

    async def receive(self, last_error: ErrorInfo | None = None) -> str | bytes:
        """The next message. Safe to cancel.

        Args:
            last_error: The last ``error`` event, which says more than a close code.

        Raises:
            RtError: The connection ended; which kind says what it means.
        """
        try:
            message = await self._websocket.recv()
        except ConnectionClosed as exc:
            raise from_close(exc, last_error, self._secrets) from exc
        message = without(self._secrets, message) if isinstance(message, str) else message
        if self._logged:
            log.debug("< %s", shown(message))
        return message

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """End the connection politely within a second, else cut it. Cancelling it cuts it at once."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._websocket.close(code, reason)
        except TimeoutError:
            log.debug("no answer to the close within %g s: cut", CLOSE_TIMEOUT_S)
        finally:
            self.abort()

    def abort(self) -> None:
        """Cut the connection now: who reads is told, who writes is let go, and told the next time. Idempotent."""
        self._websocket.cut()

    def _log_sent(self, messages: Sequence[bytes]) -> None:
        if self._logged:
            for message in messages:
                log.debug("> %s", shown(message))


async def connect(endpoint: Endpoint, *, timeout_s: float, witness: ConnectionLog | None = None) -> Connection:
    """Open a connection. Cancelling it leaves nothing open.

    Args:
        endpoint: Where to.
        timeout_s: For DNS, TCP, TLS and the handshake together.
        witness: Keeps everything that crosses the wire.

    Raises:
        RtError: With the exit code that fits.
    """
    log.debug("connecting to %s", endpoint.shown)
    secrets = _secrets(endpoint)
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
            create_connection=_Metered if witness is None else partial(_Witnessed, witness),  # type: ignore[arg-type]  # a class as good as its own
        )
    except (WebSocketException, OSError, TimeoutError, ValueError, EOFError, ImportError) as exc:
        # Headers of the user are no keys, and may be words of the protocol; but nor are they for a log.
        private = (*secrets, *(value for _, value in endpoint.more_headers if value))
        error = from_connect(exc, endpoint, timeout_s, private)
        if witness is not None:
            witness.failed(error.message, exc.response.status_code if isinstance(exc, InvalidStatus) else None)
        raise error from exc
    return Connection(cast("_Metered", websocket), secrets)


def _secrets(endpoint: Endpoint) -> tuple[str, ...]:
    """The keys in the headers. They need not look like keys: those of Azure are plain letters and digits."""
    keys = (value.rpartition(" ")[2] for _, value in endpoint.headers)
    return tuple(key for key in keys if len(key) >= _SHORTEST_KEY)


async def _pong(waiter: Awaitable[float]) -> None:
    try:
        await waiter
    except ConnectionClosed as exc:
        raise from_close(exc, None) from exc
