"""An endpoint that replays recorded sessions to any client.

This is not part of the embedded endpoint: a replay needs no access control, no recognition and no faults, so the two
servers would share only the listening socket.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Response
from websockets.typing import Subprotocol

from rt_cli.server.access.access import PATH, choose_subprotocol
from rt_cli.server.access.bind_error import cannot_listen
from rt_cli.server.replay.script import ScriptPlayer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from websockets.http11 import Request

    from rt_cli.server.replay.script import Difference, EndpointAction, Script

_LARGEST_MESSAGE = 32 * 1024 * 1024
_CLOSE_S = 1.0
_NO_STATUS, _CUT = 1005, 1006
_LONGEST_REASON = 123
_WIRE_LOG = logging.getLogger("rt.replay.websocket")
_WIRE_LOG.addHandler(logging.NullHandler())
_WIRE_LOG.setLevel(logging.INFO)  # at DEBUG the library logs headers, and with them keys


@dataclass(slots=True)
class ReplayServer:
    """A running replay server."""

    url: str = ""
    played: int = 0
    """Number of finished connections."""
    differences: int = 0
    """Number of differences between the clients and the recorded client."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when all connections of the recording are finished."""


@asynccontextmanager
async def replaying(
    scripts: Sequence[Script],
    *,
    on_event: Callable[[int, str], None],
    host: str = "127.0.0.1",
    port: int = 0,
    speed: float = 1.0,
    patience_s: float = 60.0,
) -> AsyncIterator[ReplayServer]:
    """Replay a recording while the block runs: the first client gets the first recorded connection, and so on.

    The end of the block, also by cancellation, closes all connections within two seconds.

    Args:
        scripts: The recorded connections.
        on_event: Receives the number of the connection (from 1) and the text of each difference; must not raise.
        host: Address to listen on.
        port: 0: any free port.
        speed: Factor of the recorded speed; ``inf``: no recorded delays, only wait for the client.
        patience_s: If an expected message of the client does not come within this time, the replay continues without.

    Raises:
        UsageError: The address or port is not available.
    """
    recording = _Recording(scripts, on_event, speed, patience_s)
    try:
        server = await serve(
            recording.handle,
            host,
            port,
            compression=None,
            process_request=recording.admit,
            select_subprotocol=_subprotocol,
            max_size=_LARGEST_MESSAGE,
            close_timeout=_CLOSE_S,
            server_header=None,
            logger=_WIRE_LOG,
        )
    except (OSError, OverflowError) as exc:
        raise cannot_listen(host, port, exc) from exc
    try:
        bound = server.sockets[0].getsockname()[1]
        recording.server.url = f"ws://{f'[{host}]' if ':' in host else host}:{bound}{PATH}"
        yield recording.server
    finally:
        server.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * _CLOSE_S):
                await server.wait_closed()


class _Recording:
    def __init__(
        self, scripts: Sequence[Script], on_event: Callable[[int, str], None], speed: float, patience_s: float
    ) -> None:
        self.server = ReplayServer()
        self._scripts = scripts
        self._on_event = on_event
        self._speed = speed
        self._patience_s = patience_s
        self._opened = 0

    def admit(self, _connection: ServerConnection, request: Request) -> Response | None:
        """Refuse the handshake if the recorded one was refused; None: open the WebSocket."""
        if "Upgrade" not in request.headers or self._opened >= len(self._scripts):
            return None
        refusal = self._scripts[self._opened].refusal
        if refusal is None:
            return None
        self._opened += 1
        self._end()
        return Response(refusal, "Recorded", Headers({"Content-Length": "0", "Connection": "close"}))

    async def handle(self, connection: ServerConnection) -> None:
        """Replay the next connection."""
        self._opened += 1
        number = self._opened
        if number > len(self._scripts):
            self.report(number, f"the recording has {len(self._scripts)} connections")
            await connection.close(CloseCode.TRY_AGAIN_LATER, "the recording has no more connections")
            return
        try:
            await _Connection(self, connection, number).run()
        finally:
            self._end()

    def player(self, number: int) -> ScriptPlayer:
        """The player of a connection, by its number from 1."""
        return ScriptPlayer(self._scripts[number - 1], self._speed, asyncio.get_running_loop().time())

    @property
    def patience_s(self) -> float:
        """Longest wait for an expected message, in seconds."""
        return self._patience_s

    def report(self, number: int, message: str) -> None:
        """Count and report a difference."""
        self.server.differences += 1
        self._on_event(number, message)

    def _end(self) -> None:
        self.server.played += 1
        if self.server.played >= len(self._scripts):
            self.server.over.set()


class _Connection:
    """The replay of one connection."""

    def __init__(self, recording: _Recording, connection: ServerConnection, number: int) -> None:
        self._recording = recording
        self._connection = connection
        self._number = number
        self._player = recording.player(number)
        self._loop = asyncio.get_running_loop()
        self._message_event = asyncio.Event()

    async def run(self) -> None:
        """Replay until the script ends or the client disconnects."""
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self._play())
            with suppress(ConnectionClosed):  # a disconnect is an expected end
                async for message in self._connection:
                    difference = self._player.receive(message, self._loop.time())
                    if difference is not None:
                        await self._send_difference(difference)
                    self._message_event.set()
            task.cancel()
        if (difference := self._player.on_disconnect()) is not None:
            self._recording.report(self._number, difference.message)

    async def _play(self) -> None:
        player = self._player
        with suppress(ConnectionClosed):  # run() ends too
            while (action := player.action) is not None:
                due = player.due()
                if due is None:
                    await self._await_client()
                    continue
                await asyncio.sleep(due - self._loop.time())
                player.mark_done(self._loop.time())
                await self._do(action)
            while player.client_closes:
                if not await self._wait_for_message():
                    await self._connection.close(CloseCode.NORMAL_CLOSURE, "the recording ends here")
                    return

    async def _await_client(self) -> None:
        if not await self._wait_for_message() and (missing := self._player.missing()) is not None:
            self._recording.report(
                self._number, f"missing: {missing}; went on after {self._recording.patience_s:g} s without a word"
            )
            self._player.skip_missing(self._loop.time())

    async def _wait_for_message(self) -> bool:
        """Wait for a message of the client; False after ``patience_s``."""
        self._message_event.clear()
        try:
            async with asyncio.timeout(self._recording.patience_s):
                await self._message_event.wait()
        except TimeoutError:
            return False
        return True

    async def _do(self, action: EndpointAction) -> None:
        if action.kind != "close":
            await self._connection.send(action.data, text=action.kind == "text")
        elif action.code == _CUT:
            self._connection.transport.abort()
        else:
            code = CloseCode.NORMAL_CLOSURE if action.code == _NO_STATUS else action.code
            await self._connection.close(code, action.data[:_LONGEST_REASON].decode("utf-8", "ignore"))

    async def _send_difference(self, difference: Difference) -> None:
        self._recording.report(self._number, difference.message)
        error = {
            "type": "invalid_request_error",
            "code": "not_in_the_recording",
            "message": difference.message,
            "param": None,
            "event_id": difference.event_id,
        }
        event = {"type": "error", "event_id": f"event_replay_{self._recording.server.differences}", "error": error}
        await self._connection.send(json.dumps(event))


def _subprotocol(_connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    chosen = choose_subprotocol(offered)
    return None if chosen is None else Subprotocol(chosen)
