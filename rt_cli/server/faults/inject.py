"""Faults applied: between the connections of the embedded endpoint and its sessions, what ``--fault`` asks for.

A connection of a server without faults never comes here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import msgspec

from rt_cli.server.access.access import Answer
from rt_cli.server.faults.connection_faults import ConnectionFaults, FaultTarget
from rt_cli.server.faults.event_faults import Chance, OutgoingFrame, OutgoingQueue
from rt_cli.server.faults.event_names import COMMITTED
from rt_cli.server.faults.grammar import CloseFrame, Rate, Rejection, Span
from rt_cli.server.faults.malformed import payload
from rt_cli.server.session import wire

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from rt_cli.server.faults.grammar import Fault, FaultPlan

OnEvent = Callable[[dict[str, Any]], None]
Send = Callable[[bytes, bool], Awaitable[None]]
"""Sends a frame, of text where the second argument is true, else binary; silent when the client is gone."""

_QUEUED = 256
"""Events that wait, late or stalled, before the session waits."""
_G711_BYTES_PER_S = 8000
_BEFORE_THE_SESSION = {"status", "handshake", "expire"}
_OF_EVENTS = {"delay", "omit", "dup", "reorder", "corrupt", "failed", "reject"}
_CODES = {
    HTTPStatus.UNAUTHORIZED: "invalid_api_key",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: "model_not_found",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_exceeded",
}


class Faults:
    """The faults of a server.

    Args:
        plan: At least one.
        on_event: Told ``fault`` each time one happens: ``fault`` as it could be given again, ``connection`` from 1,
            ``session`` or None, and ``event`` where one was touched. What lasts is told when it begins.
    """

    def __init__(self, plan: FaultPlan, on_event: OnEvent) -> None:
        self._plan = plan
        self._chance = Chance(plan)
        self._on_event = on_event
        self._connections = 0

    def connection(self) -> FaultyConnection:
        """The next one."""
        self._connections += 1
        return FaultyConnection(self._connections, self._plan, self._chance, self._on_event)


class FaultyConnection:
    """The faults of one connection.

    Args:
        number: From 1.
        plan: All faults.
        luck: Of the server.
        on_event: See :class:`Faults`.
    """

    def __init__(self, number: int, plan: FaultPlan, chance: Chance, on_event: OnEvent) -> None:
        self._number = number
        self._plan = plan
        self._chance = chance
        self._on_event = on_event
        self._outgoing = OutgoingQueue(self._fires, self._draw)
        self._group: asyncio.TaskGroup
        self._tasks: set[asyncio.Task[None]] = set()
        self._connection_faults: ConnectionFaults
        self._close: Callable[[int, str], Awaitable[None]]
        self._send: Send
        self._triggers: list[tuple[str, float, int]] = []
        """Faults that wait for a turn or for seconds of audio: which of the two, how many, index."""
        self._slow: dict[int, Rate] = {}
        self._reported: set[int] = set()
        self._session: str | None = None
        self._turns = 0
        self._audio_s = 0.0
        self._bytes_per_s = 48_000.0
        self._wake, self._queue_room, self._closed = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._ended = False

    async def refusal(self) -> Answer | None:
        """Wait, if the handshake is to be late, and say whether it is refused."""
        for index, fault in self._faults_named("handshake"):
            if self._fires(index):
                await asyncio.sleep(self._draw(cast("Span", fault.value), index))
        for index, fault in self._faults_named("status"):
            if self._fires(index):
                status = HTTPStatus(cast("int", fault.value))
                # Whole seconds are all that HTTP knows.
                wait = {} if fault.lasts_ms is None else {"Retry-After": str(-(-fault.lasts_ms // 1000))}
                kind = "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
                code, message = _CODES.get(status, kind), f"Refused on request: {fault}."
                error = {"type": kind, "code": code, "message": message, "param": None}
                return Answer(status, {"error": error}, wait)
        return None

    def expiry(self, limit_s: float) -> float:
        """How many seconds the session may last.

        Args:
            limit_s: If it is not to expire earlier on request.
        """
        for index, fault in self._faults_named("expire"):
            if self._fires(index):
                return min(limit_s, self._draw(cast("Span", fault.value), index))
        return limit_s

    @asynccontextmanager
    async def apply(self, connection: FaultTarget, send: Send) -> AsyncIterator[None]:
        """Let faults happen while the block serves a connection; what comes at once comes before all the block says.

        The end of the block, by cancellation too, ends them. No fault ends the block: it learns of it from
        :meth:`messages`, as of every client that goes.
        """
        self._connection_faults, self._send, self._close = ConnectionFaults(connection), send, connection.close
        try:
            async with asyncio.TaskGroup() as self._group:
                self._spawn(self._pump())
                for index in range(len(self._plan.faults)):
                    self._schedule(index)
                try:
                    yield
                finally:
                    self._ended = True
                    for task in self._tasks:
                        task.cancel()
        finally:
            self._chance.forget(self._number)

    async def send(self, text: bytes) -> None:
        """Take an event of the session; waits while too many others do."""
        while len(self._outgoing) >= _QUEUED and not self._ended:
            self._queue_room.clear()
            await self._queue_room.wait()
        if self._ended:
            return
        event = msgspec.json.decode(text, type=_Event)
        if event.type in {"session.created", "session.updated"}:
            self._read_session(msgspec.json.decode(text)["session"])
        self._outgoing.push(self._now(), event.type, text)
        self._wake.set()

    async def close(self, code: int, reason: str) -> None:
        """Close for the session, after all that it said."""
        self._put(OutgoingFrame("close", reason.encode(), code=code))
        await self._closed.wait()

    async def messages(self, source: AsyncIterator[str | bytes]) -> AsyncIterator[str | bytes]:
        """What the client sends, as far and as fast as faults let it pass."""
        async for message in source:
            await self._connection_faults.wait_while_stalled()
            for rate in list(self._slow.values()):
                await asyncio.sleep(len(message) / rate.kilobytes / 1000)
            if not self._reject(message):
                yield message
        self._ended = True
        self._queue_room.set()

    async def _pump(self) -> None:
        """Send what leaves, when it does."""
        while True:
            due = self._outgoing.due
            wait = None if due is None else due - self._now()
            if wait is None or wait > 0:
                self._wake.clear()
                try:
                    async with asyncio.timeout(wait):
                        await self._wake.wait()
                except TimeoutError:
                    pass  # it is due
                continue
            await self._connection_faults.wait_while_stalled()
            if (frame := self._outgoing.pop(self._now())) is not None:
                await self._write(frame)
            self._queue_room.set()

    async def _write(self, frame: OutgoingFrame) -> None:
        match frame.kind:
            case "close":
                await self._close(frame.code, frame.data.decode())
                self._closed.set()
            case "raw":
                self._connection_faults.write(frame.data)
            case kind:
                await self._send(frame.data, kind == "text")
        if frame.type == COMMITTED:
            self._turns += 1
            self._reach("turn", self._turns)

    def _schedule(self, index: int) -> None:
        """See to it that a fault happens when it is to."""
        fault = self._plan.faults[index]
        if fault.name in _BEFORE_THE_SESSION:
            return
        if fault.when is None:
            self._trigger(index)
        elif fault.when.span is None:
            self._triggers.append(("turn", fault.when.turn, index))
        elif fault.when.of == "audio":
            self._triggers.append(("audio", self._draw(fault.when.span, index), index))
        else:
            self._spawn(self._trigger_later(self._draw(fault.when.span, index), index))

    def _reach(self, what: str, count: float) -> None:
        """As many turns or seconds of audio have come."""
        for entry in list(self._triggers):
            if entry[0] == what and entry[1] <= count:
                self._triggers.remove(entry)
                self._trigger(entry[2])

    async def _trigger_later(self, seconds: float, index: int) -> None:
        await asyncio.sleep(seconds)
        self._trigger(index)

    def _trigger(self, index: int) -> None:
        """Let a fault happen or begin; where it touches events, each of them is an occasion, else this is the one."""
        fault = self._plan.faults[index]
        lasts_s = None if fault.lasts_ms is None else fault.lasts_ms / 1000
        if fault.name in _OF_EVENTS:
            self._begin(self._outgoing.active, index, fault, lasts_s)
        elif self._fires(index):
            if isinstance(fault.value, Rate):
                self._begin(self._slow, index, fault.value, lasts_s)
            self._start_fault(fault, lasts_s)

    def _start_fault(self, fault: Fault, lasts_s: float | None) -> None:
        match fault.name, fault.value:
            case "drop", str(kind):
                self._connection_faults.cut(kind)
            case "close", CloseFrame(code, reason):
                self._put_first(OutgoingFrame("close", reason.encode(), code=code))
            case "quota", _:
                self._send_error("insufficient_quota", "You exceeded your current quota, on request.")
                self._put_first(OutgoingFrame("close", b"insufficient_quota", code=1008))
            case "error", str(code):
                self._send_error(code, "An error on request.")
            case "garbage", str(kind):
                self._put_first(OutgoingFrame(*payload(kind)))
            case "stall", _:
                self._spawn(self._connection_faults.stall(lasts_s))
            case "mute", _:
                self._spawn(self._connection_faults.mute(lasts_s))

    def _begin(self, lasting: dict[int, Any], index: int, what: Fault | Rate, seconds: float | None) -> None:
        lasting[index] = what
        if seconds is not None:
            self._spawn(_forget(lasting, index, seconds))

    def _reject(self, message: str | bytes) -> bool:
        """Look at a message, and answer it if it is to be rejected."""
        if not self._triggers and not any(fault.name == "reject" for fault in self._outgoing.active.values()):
            return False
        try:
            event = wire.decode(message)
        except wire.Rejected:  # the session says what is wrong with it
            return False
        if event.type == "input_audio_buffer.append" and isinstance(event.audio, str):
            self._audio_s += len(event.audio) * 3 / 4 / self._bytes_per_s
            self._reach("audio", self._audio_s)
        for index, fault in list(self._outgoing.active.items()):
            match fault.value:
                case Rejection(event.type, code) if self._fires(index, str(event.type)):
                    rejected = wire.Rejected(code, "Rejected on request.")
                    self._put(OutgoingFrame("text", _encoded(wire.error(rejected, event.event_id)), "error"))
                    return True
        return False

    def _read_session(self, session: dict[str, Any]) -> None:
        """Learn from what the session says of itself."""
        self._session = session["id"]
        format_ = session["audio"]["input"]["format"]
        self._bytes_per_s = format_["rate"] * 2 if format_["type"] == "audio/pcm" else _G711_BYTES_PER_S

    def _send_error(self, code: str, message: str) -> None:
        kind = code if code == "insufficient_quota" else "server_error"
        error = {"type": kind, "code": code, "message": message, "param": None, "event_id": None}
        self._put_first(OutgoingFrame("text", _encoded({"type": "error", "error": error}), "error"))

    def _put(self, frame: OutgoingFrame) -> None:
        self._outgoing.put(self._now(), frame)
        self._wake.set()

    def _put_first(self, frame: OutgoingFrame) -> None:
        self._outgoing.put_first(frame)
        self._wake.set()

    def _fires(self, index: int, event: str | None = None) -> bool:
        if not self._chance.fires(index, self._number):
            return False
        fault = self._plan.faults[index]
        if fault.name == "delay":  # every event it touches would be a flood
            if index in self._reported:
                return True
            self._reported.add(index)
            event = None
        report = {"type": "fault", "connection": self._number, "session": self._session, "fault": str(fault)}
        self._on_event(report if event is None else {**report, "event": event})
        return True

    def _draw(self, span: Span, index: int) -> float:
        return self._chance.seconds(span, index, self._number)

    def _faults_named(self, name: str) -> list[tuple[int, Fault]]:
        return [(index, fault) for index, fault in enumerate(self._plan.faults) if fault.name == name]

    def _spawn(self, job: Coroutine[Any, Any, None]) -> None:
        task = self._group.create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


class _Event(msgspec.Struct):
    type: str


def _encoded(event: wire.Event) -> bytes:
    return msgspec.json.encode({"event_id": "event_on_request", **event})


async def _forget(lasting: dict[int, Any], index: int, seconds: float) -> None:
    await asyncio.sleep(seconds)
    lasting.pop(index, None)
