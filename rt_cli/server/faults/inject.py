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
from rt_cli.server.faults.event_faults import Chance, Leaving, Outgoing
from rt_cli.server.faults.event_names import COMMITTED
from rt_cli.server.faults.grammar import Closing, Rate, Rejection, Span
from rt_cli.server.faults.malformed import payload
from rt_cli.server.session import wire

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from rt_cli.server.faults.grammar import Fault, FaultPlan

Observe = Callable[[dict[str, Any]], None]
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

    def __init__(self, plan: FaultPlan, on_event: Observe) -> None:
        self._plan = plan
        self._luck = Chance(plan)
        self._on_event = on_event
        self._connections = 0

    def connection(self) -> FaultyConnection:
        """The next one."""
        self._connections += 1
        return FaultyConnection(self._connections, self._plan, self._luck, self._on_event)


class FaultyConnection:
    """The faults of one connection.

    Args:
        number: From 1.
        plan: All faults.
        luck: Of the server.
        on_event: See :class:`Faults`.
    """

    def __init__(self, number: int, plan: FaultPlan, luck: Chance, on_event: Observe) -> None:
        self._number = number
        self._plan = plan
        self._luck = luck
        self._on_event = on_event
        self._outgoing = Outgoing(self._take, self._draw)
        self._group: asyncio.TaskGroup
        self._tasks: set[asyncio.Task[None]] = set()
        self._breakage: ConnectionFaults
        self._close: Callable[[int, str], Awaitable[None]]
        self._send: Send
        self._awaited: list[tuple[str, float, int]] = []
        """Faults that wait for a turn or for seconds of audio: which of the two, how many, index."""
        self._slow: dict[int, Rate] = {}
        self._told: set[int] = set()
        self._session: str | None = None
        self._turns = 0
        self._audio_s = 0.0
        self._bytes_per_s = 48_000.0
        self._wake, self._room, self._closed = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._over = False

    async def refusal(self) -> Answer | None:
        """Wait, if the handshake is to be late, and say whether it is refused."""
        for index, fault in self._named("handshake"):
            if self._take(index):
                await asyncio.sleep(self._draw(cast("Span", fault.value), index))
        for index, fault in self._named("status"):
            if self._take(index):
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
        for index, fault in self._named("expire"):
            if self._take(index):
                return min(limit_s, self._draw(cast("Span", fault.value), index))
        return limit_s

    @asynccontextmanager
    async def around(self, connection: FaultTarget, send: Send) -> AsyncIterator[None]:
        """Let faults happen while the block serves a connection; what comes at once comes before all the block says.

        The end of the block, by cancellation too, ends them. No fault ends the block: it learns of it from
        :meth:`messages`, as of every client that goes.
        """
        self._breakage, self._send, self._close = ConnectionFaults(connection), send, connection.close
        try:
            async with asyncio.TaskGroup() as self._group:
                self._spawn(self._pump())
                for index in range(len(self._plan.faults)):
                    self._plant(index)
                try:
                    yield
                finally:
                    self._over = True
                    for task in self._tasks:
                        task.cancel()
        finally:
            self._luck.forget(self._number)

    async def send(self, text: bytes) -> None:
        """Take an event of the session; waits while too many others do."""
        while len(self._outgoing) >= _QUEUED and not self._over:
            self._room.clear()
            await self._room.wait()
        if self._over:
            return
        event = msgspec.json.decode(text, type=_Event)
        if event.type in {"session.created", "session.updated"}:
            self._look(msgspec.json.decode(text)["session"])
        self._outgoing.push(self._now(), event.type, text)
        self._wake.set()

    async def close(self, code: int, reason: str) -> None:
        """Close for the session, after all that it said."""
        self._say(Leaving("close", reason.encode(), code=code))
        await self._closed.wait()

    async def messages(self, source: AsyncIterator[str | bytes]) -> AsyncIterator[str | bytes]:
        """What the client sends, as far and as fast as faults let it pass."""
        async for message in source:
            await self._breakage.moving()
            for rate in list(self._slow.values()):
                await asyncio.sleep(len(message) / rate.kilobytes / 1000)
            if not self._rejected(message):
                yield message
        self._over = True
        self._room.set()

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
            await self._breakage.moving()
            if (leaving := self._outgoing.pop(self._now())) is not None:
                await self._leave(leaving)
            self._room.set()

    async def _leave(self, leaving: Leaving) -> None:
        match leaving.how:
            case "close":
                await self._close(leaving.code, leaving.data.decode())
                self._closed.set()
            case "raw":
                self._breakage.write(leaving.data)
            case how:
                await self._send(leaving.data, how == "text")
        if leaving.type == COMMITTED:
            self._turns += 1
            self._arrive("turn", self._turns)

    def _plant(self, index: int) -> None:
        """See to it that a fault happens when it is to."""
        fault = self._plan.faults[index]
        if fault.name in _BEFORE_THE_SESSION:
            return
        if fault.when is None:
            self._happen(index)
        elif fault.when.span is None:
            self._awaited.append(("turn", fault.when.turn, index))
        elif fault.when.of == "audio":
            self._awaited.append(("audio", self._draw(fault.when.span, index), index))
        else:
            self._spawn(self._happen_in(self._draw(fault.when.span, index), index))

    def _arrive(self, what: str, count: float) -> None:
        """As many turns or seconds of audio have come."""
        for entry in list(self._awaited):
            if entry[0] == what and entry[1] <= count:
                self._awaited.remove(entry)
                self._happen(entry[2])

    async def _happen_in(self, seconds: float, index: int) -> None:
        await asyncio.sleep(seconds)
        self._happen(index)

    def _happen(self, index: int) -> None:
        """Let a fault happen or begin; where it touches events, each of them is an occasion, else this is the one."""
        fault = self._plan.faults[index]
        lasts_s = None if fault.lasts_ms is None else fault.lasts_ms / 1000
        if fault.name in _OF_EVENTS:
            self._begin(self._outgoing.active, index, fault, lasts_s)
        elif self._take(index):
            if isinstance(fault.value, Rate):
                self._begin(self._slow, index, fault.value, lasts_s)
            self._break(fault, lasts_s)

    def _break(self, fault: Fault, lasts_s: float | None) -> None:
        match fault.name, fault.value:
            case "drop", str(how):
                self._breakage.cut(how)
            case "close", Closing(code, reason):
                self._interrupt(Leaving("close", reason.encode(), code=code))
            case "quota", _:
                self._complain("insufficient_quota", "You exceeded your current quota, on request.")
                self._interrupt(Leaving("close", b"insufficient_quota", code=1008))
            case "error", str(code):
                self._complain(code, "An error on request.")
            case "garbage", str(kind):
                self._interrupt(Leaving(*payload(kind)))
            case "stall", _:
                self._spawn(self._breakage.stall(lasts_s))
            case "mute", _:
                self._spawn(self._breakage.mute(lasts_s))

    def _begin(self, lasting: dict[int, Any], index: int, what: Fault | Rate, seconds: float | None) -> None:
        lasting[index] = what
        if seconds is not None:
            self._spawn(_forget(lasting, index, seconds))

    def _rejected(self, message: str | bytes) -> bool:
        """Look at a message, and answer it if it is to be rejected."""
        if not self._awaited and not any(fault.name == "reject" for fault in self._outgoing.active.values()):
            return False
        try:
            event = wire.decode(message)
        except wire.Rejected:  # the session says what is wrong with it
            return False
        if event.type == "input_audio_buffer.append" and isinstance(event.audio, str):
            self._audio_s += len(event.audio) * 3 / 4 / self._bytes_per_s
            self._arrive("audio", self._audio_s)
        for index, fault in list(self._outgoing.active.items()):
            match fault.value:
                case Rejection(event.type, code) if self._take(index, str(event.type)):
                    rejected = wire.Rejected(code, "Rejected on request.")
                    self._say(Leaving("text", _encoded(wire.error(rejected, event.event_id)), "error"))
                    return True
        return False

    def _look(self, session: dict[str, Any]) -> None:
        """Learn from what the session says of itself."""
        self._session = session["id"]
        format_ = session["audio"]["input"]["format"]
        self._bytes_per_s = format_["rate"] * 2 if format_["type"] == "audio/pcm" else _G711_BYTES_PER_S

    def _complain(self, code: str, message: str) -> None:
        kind = code if code == "insufficient_quota" else "server_error"
        error = {"type": kind, "code": code, "message": message, "param": None, "event_id": None}
        self._interrupt(Leaving("text", _encoded({"type": "error", "error": error}), "error"))

    def _say(self, leaving: Leaving) -> None:
        self._outgoing.say(self._now(), leaving)
        self._wake.set()

    def _interrupt(self, leaving: Leaving) -> None:
        self._outgoing.interrupt(leaving)
        self._wake.set()

    def _take(self, index: int, event: str | None = None) -> bool:
        if not self._luck.takes(index, self._number):
            return False
        fault = self._plan.faults[index]
        if fault.name == "delay":  # every event it touches would be a flood
            if index in self._told:
                return True
            self._told.add(index)
            event = None
        note = {"type": "fault", "connection": self._number, "session": self._session, "fault": str(fault)}
        self._on_event(note if event is None else {**note, "event": event})
        return True

    def _draw(self, span: Span, index: int) -> float:
        return self._luck.seconds(span, index, self._number)

    def _named(self, name: str) -> list[tuple[int, Fault]]:
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
