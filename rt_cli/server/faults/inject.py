"""Applies the faults of ``--fault`` between a connection and its session.

A server without faults does not use this module.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import msgspec

from rt_cli.protocol.recording_format import APPENDS
from rt_cli.server.access.access import Answer
from rt_cli.server.faults.connection_faults import ConnectionFaults, FaultTarget
from rt_cli.server.faults.event_faults import Chance, OutgoingFrame, OutgoingQueue
from rt_cli.server.faults.event_names import is_of
from rt_cli.server.faults.malformed import payload
from rt_cli.server.faults.progress import ConnectionProgress
from rt_cli.server.faults.reply_faults import FaultyReplier
from rt_cli.server.faults.values import CloseFrame, Rate, Rejection, Span
from rt_cli.server.session import wire

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from rt_cli.server.faults.grammar import Fault, FaultPlan
    from rt_cli.server.replies.interface import Replier

OnEvent = Callable[[dict[str, Any]], None]
Send = Callable[[bytes, bool], Awaitable[None]]
"""Sends a frame: text if the second argument is True, else binary. Does nothing after a disconnect."""

_QUEUED = 256
"""Most delayed or stalled events; then the session waits."""
_G711_BYTES_PER_S = 8000
_BEFORE_THE_SESSION = {"status", "handshake", "expire"}
_OF_EVENTS = {"delay", "omit", "dup", "reorder", "corrupt", "failed", "reject"}
_OF_REPLIES = {"late", "cut"}
_WHEN_QUEUED = (_OF_EVENTS | _OF_REPLIES) - {"reject"}
"""Faults of what the session says next: their moment is when an event is queued, of all others when it is sent."""
_CODES = {
    HTTPStatus.UNAUTHORIZED: "invalid_api_key",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: "model_not_found",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_exceeded",
}


_TRANSLATION_FORMAT = {"type": "audio/pcm", "rate": 24_000}


class Faults:
    """The faults of a server.

    Args:
        plan: At least one fault.
        on_event: Receives a ``fault`` event each time a fault happens: ``fault`` (its spec), ``connection`` (from 1),
            ``session`` (id or None) and, for a changed event, ``event`` (its type). A fault with a length is reported
            when it begins.
    """

    def __init__(self, plan: FaultPlan, on_event: OnEvent) -> None:
        self._plan = plan
        self._chance = Chance(plan)
        self._on_event = on_event
        self._connections = 0

    def connection(self) -> FaultyConnection:
        """Create the faults of the next connection."""
        self._connections += 1
        return FaultyConnection(self._connections, self._plan, self._chance, self._on_event)


class FaultyConnection:
    """The faults of one connection.

    Args:
        number: Number of the connection, from 1.
        plan: All faults.
        chance: Random state of the server.
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
        """Faults that wait: for ("turn", number), ("audio", seconds) or ("replyN", seconds), with their index."""
        self._slow: dict[int, Rate] = {}
        self._reported: set[int] = set()
        self._session: str | None = None
        self._queued, self._sent = ConnectionProgress(), ConnectionProgress()
        self._audio_s = 0.0
        self._bytes_per_s = 48_000.0
        self._wake, self._queue_room, self._closed = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._ended = False

    async def refusal(self) -> Answer | None:
        """Delay the handshake, if a fault says so; returns the answer of a refused handshake, else None."""
        for index, fault in self._faults_named("handshake"):
            if self._fires(index):
                await asyncio.sleep(self._draw(cast("Span", fault.value), index))
        for index, fault in self._faults_named("status"):
            if self._fires(index):
                status = HTTPStatus(cast("int", fault.value))
                # Retry-After has whole seconds.
                wait = {} if fault.lasts_ms is None else {"Retry-After": str(-(-fault.lasts_ms // 1000))}
                kind = "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
                code, message = _CODES.get(status, kind), f"Refused on request: {fault}."
                error = {"type": kind, "code": code, "message": message, "param": None}
                return Answer(status, {"error": error}, wait)
        return None

    def expiry(self, limit_s: float) -> float:
        """Maximum duration of the session in seconds.

        Args:
            limit_s: Duration without an ``expire`` fault.
        """
        for index, fault in self._faults_named("expire"):
            if self._fires(index):
                return min(limit_s, self._draw(cast("Span", fault.value), index))
        return limit_s

    def replier(self, replier: Replier | None) -> Replier | None:
        """The replier of this connection, with its faults of replies."""
        if replier is None or not self._plan.has(*_OF_REPLIES):
            return replier
        return FaultyReplier(replier, self._outgoing.active, self._fires, self._draw)

    @asynccontextmanager
    async def apply(self, connection: FaultTarget, send: Send) -> AsyncIterator[None]:
        """Apply faults while the block serves a connection. Faults without a moment happen before the first event.

        The end of the block, also by cancellation, ends all faults. No fault ends the block: :meth:`messages` ends, as
        for any disconnect.
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
        """Queue an event of the session; waits while the queue is full."""
        while len(self._outgoing) >= _QUEUED and not self._ended:
            self._queue_room.clear()
            await self._queue_room.wait()
        if self._ended:
            return
        event = msgspec.json.decode(text, type=_Event)
        if event.type in {"session.created", "session.updated"}:
            self._read_session(msgspec.json.decode(text)["session"])
        self._outgoing.push(self._now(), event.type, text)
        self._advance(self._queued, event.type, text)
        self._wake.set()

    async def close(self, code: int, reason: str) -> None:
        """Close the connection for the session, after all of its queued events."""
        self._put(OutgoingFrame("close", reason.encode(), code=code))
        await self._closed.wait()

    async def messages(self, source: AsyncIterator[str | bytes]) -> AsyncIterator[str | bytes]:
        """Yield the client's messages; faults may delay or reject them."""
        async for message in source:
            await self._connection_faults.wait_while_stalled()
            for rate in list(self._slow.values()):
                await asyncio.sleep(len(message) / rate.kilobytes / 1000)
            if not self._reject(message):
                yield message
        self._ended = True
        self._queue_room.set()

    async def _pump(self) -> None:
        """Send each queued frame when it is due."""
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
        self._advance(self._sent, frame.type, frame.data)

    def _schedule(self, index: int) -> None:
        """Schedule a fault for its moment."""
        fault = self._plan.faults[index]
        if fault.name in _BEFORE_THE_SESSION:
            return
        if fault.when is None:
            self._trigger(index)
        elif fault.when.of == "turn":
            self._triggers.append(("turn", fault.when.number, index))
        elif fault.when.of == "reply":
            seconds = 0.0 if fault.when.span is None else self._draw(fault.when.span, index)
            self._triggers.append((f"reply{fault.when.number}", seconds, index))
        elif fault.when.of == "audio":
            self._triggers.append(("audio", self._draw(cast("Span", fault.when.span), index), index))
        else:
            self._spawn(self._trigger_later(self._draw(cast("Span", fault.when.span), index), index))

    def _advance(self, progress: ConnectionProgress, type_: str, text: bytes) -> None:
        """Count an event that is queued or sent."""
        if self._triggers and (reached := progress.count(type_, text)) is not None:
            self._reach(*reached, queued=progress is self._queued)

    def _reach(self, what: str, count: float, *, queued: bool | None = None) -> None:
        """Trigger the faults that wait for this number of turns or seconds of audio.

        Args:
            what: See ``_triggers``.
            count: Number or seconds.
            queued: Only the faults whose moment is when an event is queued, or sent; None: all.
        """
        for entry in list(self._triggers):
            is_now = queued in {None, self._plan.faults[entry[2]].name in _WHEN_QUEUED}
            if entry[0] == what and entry[1] <= count and is_now:
                self._triggers.remove(entry)
                self._trigger(entry[2])

    async def _trigger_later(self, seconds: float, index: int) -> None:
        await asyncio.sleep(seconds)
        self._trigger(index)

    def _trigger(self, index: int) -> None:
        """Start a fault. For a fault of events or replies, each is an occasion; for others, this is the only one."""
        fault = self._plan.faults[index]
        lasts_s = None if fault.lasts_ms is None else fault.lasts_ms / 1000
        if fault.name in _OF_EVENTS | _OF_REPLIES:
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
        """Count the audio of a message. If a fault rejects the message, answer with an error and return True."""
        if not self._triggers and not any(fault.name == "reject" for fault in self._outgoing.active.values()):
            return False
        try:
            event = wire.decode(message)
        except wire.Rejected:  # the session answers with the error
            return False
        if event.type in APPENDS and isinstance(event.audio, str):
            self._audio_s += len(event.audio) * 3 / 4 / self._bytes_per_s
            self._reach("audio", self._audio_s)
        for index, fault in list(self._outgoing.active.items()):
            match fault.value:
                case Rejection(rejected_type, code) if is_of(event.type, rejected_type) and self._fires(
                    index, str(event.type)
                ):
                    rejected = wire.Rejected(code, "Rejected on request.")
                    self._put(OutgoingFrame("text", _encoded(wire.error(rejected, event.event_id)), "error"))
                    return True
        return False

    def _read_session(self, session: dict[str, Any]) -> None:
        """Read id and input format from the session object."""
        self._session = session["id"]
        format_ = session["audio"]["input"].get("format", _TRANSLATION_FORMAT)
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
        if fault.name == "delay":  # report a delay once, not for every event
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

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = self._group.create_task(coroutine)
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
