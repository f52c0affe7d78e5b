"""The embedded endpoint: OpenAI's GA transcription protocol over a real WebSocket on this machine.

No key is needed, none is looked at, none is logged. The only file here that knows ``websockets``.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as serve_websockets
from websockets.exceptions import ConnectionClosed

from rt_cli.errors import UsageError
from rt_cli.local.recognizer import Recognizer, RecognizerName, open_recognizer
from rt_cli.local.session import Observe, Session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from websockets.http11 import Request, Response
    from websockets.typing import Subprotocol

PATH = "/v1/realtime"
MAX_SESSIONS = 8
"""Each may have a recogniser of its own, about 110 MB."""
MAX_MESSAGE_BYTES = 24 * 1024 * 1024
"""An append of 15 MiB in base64, and its envelope."""
_QUEUED_MESSAGES = 1
"""Read ahead by the library: pings wait behind what we have not read, so that their pongs tell our progress, to within
one read of the socket (256 KiB, 4 s of audio)."""
_PING_S = 20.0
_CLOSE_S = 0.4
"""For the closing handshake with a client, and again for what did not end by itself."""
_TRY_AGAIN_LATER = 1013

_LOG = logging.getLogger("rt.local")
_LOG.addHandler(logging.NullHandler())  # silent in programs that configure no logging
_WIRE_LOG = logging.getLogger("rt.local.websocket")
_WIRE_LOG.setLevel(logging.INFO)  # at DEBUG the library logs headers, and with them keys


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A running endpoint."""

    url: str
    """``ws://HOST:PORT/v1/realtime``."""
    port: int
    notice: str
    """One line for people: how good its words are, or why there are none and what to do."""


@asynccontextmanager
async def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    recognizer: RecognizerName = "pocketsphinx",
    save_audio: Path | None = None,
    observe: Observe | None = None,
) -> AsyncIterator[LocalServer]:
    """Run the endpoint while the block runs.

    Ready as soon as the port is open; the recogniser loads meanwhile. The end of the block, by cancellation too, closes
    all connections with 1001 and ends all child processes, within a second.

    Args:
        host: A loopback address.
        port: 0 is any free one.
        recognizer: Where pocketsphinx is missing, ``none`` takes its place and the notice says so.
        save_audio: Directory, created if need be, for ``SESSION.wav``: what each session received, sample for sample.
        observe: Told ``session_opened``, ``turn``, ``transcript``, ``transcription_failed``, ``warning`` and
            ``session_closed``, each with ``session``; must return at once and must not raise.

    Raises:
        UsageError: Not a loopback address, port not free, directory not writable.
    """
    address = _loopback(host)
    if save_audio is not None:
        _make(save_audio)
    async with open_recognizer(recognizer) as engine:
        endpoint = _Endpoint(engine, observe or _ignore, save_audio)
        server = await _listen(endpoint, address, port)
        try:
            bound = server.sockets[0].getsockname()[1]
            name = f"[{address}]" if ":" in address else address
            yield LocalServer(f"ws://{name}:{bound}{PATH}", bound, engine.notice)
        finally:
            await endpoint.shut(server)


class _Endpoint:
    """The connections of a server."""

    def __init__(self, recognizer: Recognizer, observe: Observe, save_audio: Path | None) -> None:
        self._recognizer = recognizer
        self._observe = observe
        self._save_audio = save_audio
        self._sessions: set[asyncio.Task[Any]] = set()
        self._connections: set[ServerConnection] = set()

    def connection_class(self) -> type[ServerConnection]:
        """Connections that can be found again, even those that never say a word."""
        known = self._connections

        class Connection(ServerConnection):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                known.add(self)
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                known.discard(self)
                super().connection_lost(exc)

        return Connection

    async def handle(self, connection: ServerConnection) -> None:
        """Serve a client until it leaves."""
        if len(self._sessions) >= MAX_SESSIONS:
            await connection.close(_TRY_AGAIN_LATER, f"{MAX_SESSIONS} sessions are open")
            return
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine always runs in one; narrows the type
        self._sessions.add(task)
        try:
            async with self._recognizer.ears() as ears:
                type_ = _session_type(connection)
                session = Session(type_, ears, _sender(connection), self._observe, self._save_audio)
                await session.run(_messages(connection))
        finally:
            self._sessions.discard(task)

    async def shut(self, server: Server) -> None:
        """End everything: politely at first, then by force."""
        server.close()  # 1001 to all
        closed = asyncio.ensure_future(server.wait_closed())
        await asyncio.wait([closed], timeout=_CLOSE_S)
        for session in self._sessions:
            session.cancel()
        for connection in self._connections:
            connection.transport.abort()
        await asyncio.wait([closed], timeout=_CLOSE_S)
        closed.cancel()


async def _listen(endpoint: _Endpoint, address: str, port: int) -> Server:
    try:
        return await serve_websockets(
            endpoint.handle,
            address,
            port,
            compression=None,
            create_connection=endpoint.connection_class(),
            process_request=_admit,
            select_subprotocol=_subprotocol,
            max_size=MAX_MESSAGE_BYTES,
            max_queue=_QUEUED_MESSAGES,
            ping_interval=_PING_S,
            ping_timeout=_PING_S,
            close_timeout=_CLOSE_S,
            server_header=None,
            logger=_WIRE_LOG,
        )
    except (OSError, OverflowError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise UsageError(
            f"cannot listen on {address} port {port}: {reason}",
            "choose another with --port, or --port 0 for any free one",
            code="port_in_use",
        ) from exc


def _admit(connection: ServerConnection, request: Request) -> Response | None:
    """Answer over HTTP what is no session of ours; None lets the WebSocket open."""
    path = urlsplit(request.path).path.rstrip("/")
    if path == "/healthz":
        return _json(connection, HTTPStatus.OK, {"status": "ok"})
    if path != PATH:
        return _refusal(connection, HTTPStatus.NOT_FOUND, "not_found", f"The endpoint is at {PATH}.")
    if any(not _is_local(origin) for origin in request.headers.get_all("Origin")):
        message = "Pages of other sites must not use this endpoint."
        return _refusal(connection, HTTPStatus.FORBIDDEN, "forbidden_origin", message)
    return None


def _is_local(origin: str) -> bool:
    try:
        host = urlsplit(origin).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _refusal(connection: ServerConnection, status: HTTPStatus, code: str, message: str) -> Response:
    error = {"type": "invalid_request_error", "code": code, "message": message, "param": None}
    return _json(connection, status, {"error": error})


def _json(connection: ServerConnection, status: HTTPStatus, body: dict[str, Any]) -> Response:
    response = connection.respond(status, json.dumps(body) + "\n")
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = "application/json"
    return response


def _subprotocol(_connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Browsers offer ``realtime`` beside a key disguised as a subprotocol; only the first is ever repeated."""
    return next((name for name in offered if name == "realtime"), None)


def _session_type(connection: ServerConnection) -> Any:
    """A session without ``intent`` is a conversation, as at OpenAI; its type can be changed by an update."""
    request = connection.request
    query = parse_qs(urlsplit(request.path).query) if request is not None else {}
    return "transcription" if query.get("intent") == ["transcription"] else "realtime"


async def _messages(connection: ServerConnection) -> AsyncIterator[str | bytes]:
    with suppress(ConnectionClosed):  # however the client left, there is nobody to tell
        async for message in connection:
            yield message


def _sender(connection: ServerConnection) -> Any:
    async def send(text: bytes) -> None:
        with suppress(ConnectionClosed):  # the end of the messages says it
            await connection.send(text, text=True)

    return send


def _loopback(host: str) -> str:
    address = "127.0.0.1" if host == "localhost" else host
    try:
        loopback = ipaddress.ip_address(address).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise UsageError(
            f"{host} is no loopback address",
            "the embedded endpoint asks for no key, so it serves this machine only: use 127.0.0.1, ::1 or localhost",
            code="not_loopback",
        )
    return address


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe = directory / ".rt-probe"
        probe.touch()
        probe.unlink()
    except OSError as exc:
        raise UsageError(f"cannot write to {directory}: {exc.strerror}", "choose another directory") from exc


def _ignore(_event: dict[str, Any]) -> None:
    pass
