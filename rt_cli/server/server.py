"""The embedded endpoint: OpenAI's GA realtime protocol over WebSocket. Listens, admits, serves and shuts down.

Only this file and the replay server use the WebSocket library. :mod:`rt_cli.server.access.access` decides about
requests, :mod:`rt_cli.server.session.session` answers client events.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as serve_websockets
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.protocol import State
from websockets.typing import Subprotocol

from rt_cli.disk.outfile import prepare_folder
from rt_cli.server.access.access import (
    MODELS,
    PATH,
    UNAUTHORIZED_CLOSE,
    Access,
    Admission,
    Answer,
    Decision,
    Unauthorized,
    bad_request,
    choose_subprotocol,
    listening_address,
)
from rt_cli.server.access.bind_error import cannot_listen
from rt_cli.server.access.client_secrets import ClientSecrets
from rt_cli.server.access.keepalive import ClientState, Keepalive
from rt_cli.server.access.limits import Limits
from rt_cli.server.access.plain_http import BadRequest, FirstBytes, PlainRequest
from rt_cli.server.access.tls import TlsHandshake
from rt_cli.server.recognition.registry import AUTO, open_recognizer, resolve_spec
from rt_cli.server.session.config import SessionConfig, apply_update
from rt_cli.server.session.session import OnEvent, ServerSession
from rt_cli.server.session.translation import HEARING, TranslationSession

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from websockets.http11 import Request, Response

    from rt_cli.server.faults.grammar import FaultPlan
    from rt_cli.server.faults.inject import Faults, FaultyConnection
    from rt_cli.server.recognition.interface import Recognizer
    from rt_cli.server.replies.interface import Replier

_QUEUED_MESSAGES = 1
"""Messages that the library reads ahead. A ping of the client waits behind unread messages, so its pong shows the
progress of the server, to within one read of the socket (256 KiB, 4 s of audio)."""
_LEAST_READ_PER_S = 1024
"""Bytes that a client must read, if they wait for it: who drips holds a session that nobody uses."""
_LOG = logging.getLogger("rt.local")
_LOG.addHandler(logging.NullHandler())  # silent in programs that configure no logging
_WIRE_LOG = logging.getLogger("rt.local.websocket")
_WIRE_LOG.setLevel(logging.INFO)  # at DEBUG the library logs headers, and with them keys


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A running endpoint."""

    url: str
    """``ws://HOST:PORT/v1/realtime``, or ``wss://``."""
    port: int
    recognizer: str
    """The engine, without its target: what ``auto`` chose."""
    notice: str
    """One line for people: quality of the words, or why there are none and what to do."""


@asynccontextmanager
async def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    recognizer: str = AUTO,
    recognizer_model: str | None = None,
    workers: int | None = None,
    save_audio: Path | None = None,
    on_event: OnEvent | None = None,
    token: str | None = None,
    tls: ssl.SSLContext | None = None,
    limits: Limits | None = None,
    replier: Replier | None = None,
    faults: FaultPlan | None = None,
) -> AsyncIterator[LocalServer]:
    """Run the endpoint while the block runs.

    The block starts when the port is open; the recogniser may still load. The end of the block, also by cancellation,
    closes all connections with 1001 and ends all child processes within a second.

    Args:
        host: Address or name to listen on.
        port: 0: any free port.
        recognizer: See :data:`rt_cli.server.recognition.registry.FORMS`. If pocketsphinx is missing, items have empty
            texts and the notice says so.
        recognizer_model: Model name for an ``http:`` recogniser.
        workers: Recognitions at once; None: the default of the engine and the machine.
        save_audio: Directory for ``SESSION.wav``, the exact received audio of each session; created if missing.
        on_event: Receives log events: ``session_opened``, ``turn``, ``transcript``, ``transcription_failed``,
            ``warning`` and ``session_closed``, each with ``session``; ``refused`` with ``status`` (HTTP status or close
            code) and ``code``; ``fault`` (see :class:`rt_cli.server.faults.inject.Faults`). Must return at once and
            must not raise.
        token: Required key of clients. None: any key, or no key, is accepted; loopback only.
        tls: TLS context for ``wss``; None: ``ws``.
        limits: Limits of clients.
        replier: Creates the replies; None: responses have no output.
        faults: Faults to apply.

    Raises:
        UsageError: Not loopback and no token, unknown recogniser, address or port not available, or directory not
            writable.
    """
    address = listening_address(host, token)
    on_event = on_event or (lambda _event: None)
    if save_audio is not None:
        prepare_folder(save_audio)
    spec = await resolve_spec(recognizer)
    async with open_recognizer(spec, workers, model=recognizer_model) as engine:
        endpoint = _Endpoint(engine, on_event, save_audio, token, limits or Limits(), replier)
        if faults:
            from rt_cli.server.faults.inject import Faults

            endpoint.faults = Faults(faults, on_event)
        server = await _listen(endpoint, address, port, tls)
        try:
            bound = server.sockets[0].getsockname()[1]
            name = f"[{address}]" if ":" in address else address
            url = f"{'wss' if tls else 'ws'}://{name}:{bound}{PATH}"
            yield LocalServer(url, bound, spec.kind, engine.notice)
        finally:
            await endpoint.shut_down(server)


class _Connection(ServerConnection):
    """The connection of one client, from its first byte.

    Args:
        endpoint: Owner of the connection; gets its callbacks.
        args: Arguments of the library.
        kwargs: Arguments of the library.
    """

    def __init__(self, endpoint: _Endpoint, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.decision: Decision | None = None
        self.faulty: FaultyConnection | None = None
        self._endpoint = endpoint
        self._first: FirstBytes | None = FirstBytes()
        self._written = 0
        self._client_keepalive = Keepalive(round(endpoint.limits.ping_s * _LEAST_READ_PER_S))
        self._next_check: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._endpoint.on_connect(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._next_check is not None:
            self._next_check.cancel()
        self._endpoint.on_disconnect(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._client_keepalive.on_data()
        if self._first is None:
            super().data_received(data)
            return
        try:
            request = self._first.feed(data)
        except BadRequest as bad:
            self._first, request = None, None
            self._answer(self._endpoint.answer(bad))
        if request is None:
            return
        self._first = None
        if isinstance(request, PlainRequest):
            self._answer(self._endpoint.answer(request), head=request.method == "HEAD")
        else:
            super().data_received(request)

    def abort(self) -> None:
        """Cut the connection."""
        self.transport.abort()

    def watch(self) -> None:
        """Start to ping the client; end the connection if the client does not answer or does not read."""
        self._next_check = self.loop.call_later(self._endpoint.limits.ping_s, self._check_client)

    async def write_frame(self, data: bytes, text: bool = True) -> None:  # noqa: FBT001, FBT002 - a flag of the library
        """Send a text or binary frame; waits while the client does not read; does nothing after a disconnect."""
        with suppress(ConnectionClosed):  # the message iterator ends, too
            await self.send(data, text=text)

    def send_data(self) -> None:
        """Count what the library writes."""
        self._written += sum(map(len, self.protocol.writes))
        super().send_data()

    def _answer(self, answer: Answer, *, head: bool = False) -> None:
        self.protocol.send_response(_response(self, answer, head=head))  # the library discards later data
        self.send_data()

    def _check_client(self) -> None:
        if self.protocol.state is not State.OPEN:  # the closing handshake has its own deadline
            return
        unsent = self.transport.get_write_buffer_size()
        state = self._client_keepalive.check(reading=self.transport.is_reading(), written=self._written, unsent=unsent)
        if state is ClientState.STUCK:
            self.transport.abort()
            return
        if state is ClientState.SILENT:
            self.protocol.fail(CloseCode.INTERNAL_ERROR, "no answer to pings")
            self._next_check = self.loop.call_later(self._endpoint.limits.close_s, self.transport.abort)
        else:
            if not unsent:  # with a full buffer, another ping would only be buffered
                self.protocol.send_ping(b"")
            self.watch()
        self.send_data()


class _Endpoint:
    """The connections and sessions of a server.

    Args:
        recognizer: Recogniser of all sessions.
        on_event: Receives log events.
        save_audio: Existing directory for the received audio; None: do not save.
        token: Required key of clients; None: no key.
        limits: Limits of clients.
        replier: Creates the replies; None: responses have no output.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        on_event: OnEvent,
        save_audio: Path | None,
        token: str | None,
        limits: Limits,
        replier: Replier | None,
    ) -> None:
        self.limits = limits
        self.faults: Faults | None = None
        self._recognizer = recognizer
        self._on_event = on_event
        self._save_audio = save_audio
        self._replier = replier
        self._access = Access(token, ClientSecrets(self._describe), MODELS, time.time())
        self._sessions: set[asyncio.Task[Any]] = set()
        self._connections: set[_Connection | TlsHandshake] = set()
        self._handshakes: dict[_Connection | TlsHandshake, None] = {}
        """Connections in a handshake, of TLS or of HTTP, the oldest first."""

    def on_connect(self, connection: _Connection | TlsHandshake) -> None:
        """Called for a new connection; above the limit, cuts the oldest connection in the handshake."""
        self._connections.add(connection)
        self._handshakes[connection] = None
        if len(self._handshakes) > self.limits.handshakes:
            oldest = next(iter(self._handshakes))
            del self._handshakes[oldest]
            oldest.abort()

    def on_disconnect(self, connection: _Connection | TlsHandshake) -> None:
        """Called when a connection is lost, or has ended its TLS handshake."""
        self._connections.discard(connection)
        self._handshakes.pop(connection, None)

    def answer(self, plain_request: PlainRequest | BadRequest) -> Answer:
        """Answer a request with another method than GET, or a malformed one."""
        decision = (
            bad_request(plain_request)
            if isinstance(plain_request, BadRequest)
            else self._access.decide(plain_request, time.time())
        )
        assert isinstance(decision, Answer)  # noqa: S101 - sessions start with GET; narrows the type
        return self._report_refusal(decision)

    async def admit(self, connection: _Connection, request: Request) -> Response | None:
        """Decide about a GET request; returns an HTTP answer, or None to open the WebSocket."""
        plain_request = PlainRequest("GET", request.path, tuple(request.headers.raw_items()))
        connection.decision = decision = self._access.decide(plain_request, time.time())
        if isinstance(decision, Admission) and self.faults is not None:
            connection.faulty = self.faults.connection()
            decision = await connection.faulty.refusal() or decision
        return _response(connection, self._report_refusal(decision)) if isinstance(decision, Answer) else None

    async def handle(self, connection: _Connection) -> None:
        """Serve a client until it disconnects."""
        self._handshakes.pop(connection, None)
        connection.watch()
        if isinstance(connection.decision, Unauthorized):
            await self._reject(connection, connection.decision)
            return
        if len(self._sessions) >= self.limits.sessions:
            self._on_event(
                {"type": "refused", "status": int(CloseCode.TRY_AGAIN_LATER), "code": "session_limit_reached"}
            )
            await connection.close(CloseCode.TRY_AGAIN_LATER, f"{self.limits.sessions} sessions are open")
            return
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task; narrows the type
        self._sessions.add(task)
        try:
            await self._serve(connection)
        except Exception as exc:
            self._on_event({"type": "warning", "message": f"a session failed, which is a bug: {exc!r}"})
            raise  # the library logs it and closes with 1011
        finally:
            self._sessions.discard(task)

    async def _serve(self, connection: _Connection) -> None:
        decision = connection.decision
        assert isinstance(decision, Admission)  # noqa: S101 - other decisions are already answered; narrows the type
        faulty = connection.faulty
        async with self._recognizer.session() as recognizer_session:
            translates = decision.session["type"] == "translation"
            settings = HEARING if translates else decision.session
            send, close = (faulty.send, faulty.close) if faulty else (connection.write_frame, connection.close)

            def make_session(send: Callable[[bytes], Awaitable[None]]) -> ServerSession:
                return ServerSession(
                    settings["type"],
                    recognizer_session,
                    send,
                    self._on_event,
                    self._save_audio,
                    replier=faulty.replier(self._replier) if faulty else self._replier,
                    close=close,
                    expires_s=faulty.expiry(self.limits.session_s) if faulty else self.limits.session_s,
                    settings=settings,
                    languages=self._recognizer.languages,
                )

            model = decision.session.get("model")
            session = TranslationSession(make_session, send, close, model) if translates else make_session(send)
            messages = _messages(connection)
            if faulty is None:
                await session.run(messages)
                return
            async with faulty.apply(connection, connection.write_frame):
                await session.run(faulty.messages(messages))

    async def _reject(self, connection: _Connection, unauthorized: Unauthorized) -> None:
        code = unauthorized.error["code"] or "missing_api_key"
        self._on_event({"type": "refused", "status": UNAUTHORIZED_CLOSE, "code": code})
        error = {**unauthorized.error, "event_id": None}
        event = {"type": "error", "event_id": f"event_{secrets.token_hex(10)}", "error": error}
        await connection.write_frame(json.dumps(event).encode())
        await connection.close(UNAUTHORIZED_CLOSE, unauthorized.reason)

    def _describe(self, session: Mapping[str, Any]) -> Mapping[str, Any]:
        return apply_update(SessionConfig("realtime"), session, languages=self._recognizer.languages).describe()

    def _report_refusal(self, answer: Answer) -> Answer:
        if answer.status >= HTTPStatus.BAD_REQUEST:
            self._on_event({"type": "refused", "status": answer.status.value, "code": answer.code})
        return answer

    async def shut_down(self, server: Server) -> None:
        """Close all connections with 1001; after a deadline, cancel sessions and abort connections."""
        server.close()  # 1001 to all
        closed = asyncio.ensure_future(server.wait_closed())
        await asyncio.wait([closed], timeout=self.limits.close_s)
        for session in self._sessions:
            session.cancel()
        for connection in self._connections:
            connection.abort()
        await asyncio.wait([closed], timeout=self.limits.close_s)
        closed.cancel()


def _connection(
    endpoint: _Endpoint, tls: ssl.SSLContext | None, *args: Any, **kwargs: Any
) -> _Connection | TlsHandshake:
    connection = _Connection(endpoint, *args, **kwargs)
    if tls is None:
        return connection
    limits = endpoint.limits
    handshake = TlsHandshake(
        connection,
        tls,
        timeout_s=limits.handshake_s,
        close_s=limits.close_s,
        on_connect=endpoint.on_connect,
        on_end=endpoint.on_disconnect,
    )
    handshake.protocol = connection.protocol  # type: ignore[attr-defined]  # where the library looks for it
    return handshake


async def _listen(endpoint: _Endpoint, address: str, port: int, tls: ssl.SSLContext | None) -> Server:
    limits = endpoint.limits
    try:
        return await serve_websockets(
            endpoint.handle,  # type: ignore[arg-type]  # takes a _Connection, made by create_connection
            address,
            port,
            compression=None,
            create_connection=partial(_connection, endpoint, tls),  # type: ignore[arg-type]  # a subclass of its class
            process_request=endpoint.admit,  # type: ignore[arg-type]  # as above
            select_subprotocol=_subprotocol,
            max_size=limits.message_bytes,
            max_queue=_QUEUED_MESSAGES,
            open_timeout=limits.handshake_s,
            ping_interval=None,  # own keepalive: does not time out clients whose audio waits for recognition
            close_timeout=limits.close_s,
            server_header=None,
            logger=_WIRE_LOG,
        )
    except (OSError, OverflowError) as exc:
        raise cannot_listen(address, port, exc) from exc


def _response(connection: _Connection, answer: Answer, *, head: bool = False) -> Response:
    response = connection.respond(answer.status, json.dumps(answer.body) + "\n")
    del response.headers["Content-Type"]
    for name, value in {"Content-Type": "application/json", **answer.headers}.items():
        response.headers[name] = value
    if head:
        response.body = b""
    return response


def _subprotocol(_connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    chosen = choose_subprotocol(offered)
    return None if chosen is None else Subprotocol(chosen)


async def _messages(connection: ServerConnection) -> AsyncIterator[str | bytes]:
    with suppress(ConnectionClosed):  # any disconnect ends the iterator
        async for message in connection:
            yield message
