"""The endpoint's end of a connection: HTTP, frames and JSON around the model."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from tests.simulation.peer.endpoint import Hangup, Later
from tests.simulation.peer.frames import BINARY, CLOSE, PING, PONG, TEXT, FrameReader, WireError, accept_of, frame

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.simulation.machine.world import World
    from tests.simulation.peer.endpoint import Endpoint, Outcome, Session
    from tests.simulation.peer.network import Link
    from tests.simulation.scenario import Line

_REASONS = {429: "Too Many Requests", 503: "Service Unavailable", 401: "Unauthorized"}


class Service:
    """Accepts connections for the model.

    Args:
        world: Where it is.
        endpoint: The model.
        line: What connections are like.
    """

    def __init__(self, world: World, endpoint: Endpoint, line: Line) -> None:
        self.world, self.endpoint, self.line = world, endpoint, line
        self.peers: list[Peer] = []
        self._busy = list(endpoint.dials.busy)

    def accept(self, link: Link) -> Peer:
        """Take a connection."""
        peer = Peer(self, link)
        self.peers.append(peer)
        return peer

    def refusal(self) -> tuple[int, str] | None:
        """Return the HTTP status and Retry-After for a new session; None to take it."""
        if self._busy:
            return self._busy.pop(0)
        status = self.endpoint.dials.one_session
        return (status, "1") if status is not None and self.others() else None

    def others(self) -> bool:
        """Whether a session is open."""
        return any(peer.session is not None and not peer.ended for peer in self.peers)


class Peer:
    """One connection."""

    def __init__(self, service: Service, link: Link) -> None:
        self.session: Session | None = None
        self.ended = False
        self._service, self._link, self._world = service, link, service.world
        self._head = bytearray()
        self._upgraded = False
        self._frames = FrameReader()
        self._said_at = 0.0
        self._waiting = 0

    # -- bytes --------------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take bytes of the client."""
        if self.ended:
            return
        try:
            if not self._upgraded:
                self._handshake(data)
                return
            for opcode, payload in self._frames.push(data):
                self._frame(opcode, payload)
        except WireError as exc:
            self._world.violated(f"on the wire: {exc}")

    def eof_received(self) -> None:
        """End, as the client does."""
        self.hang_up(None)

    def lost(self) -> None:
        """Note the end."""
        self.ended = True

    def _handshake(self, data: bytes) -> None:
        self._head += data
        head, end, rest = bytes(self._head).partition(b"\r\n\r\n")
        if end:
            self._upgraded = True
            key = accept_of(head)
            self._world.after(self._service.line.handshake, lambda: self._answer(key, rest))

    def _answer(self, key: str, rest: bytes) -> None:
        if self.ended:
            return
        refusal = self._service.refusal()
        if refusal is not None and refusal[0] < 1000:
            status, wait = refusal
            self._world.note(f"endpoint: HTTP {status}, Retry-After: {wait}")
            body = b'{"error":{"code":"rate_limit_exceeded","message":"too many sessions"}}'
            head = f"HTTP/1.1 {status} {_REASONS[status]}\r\nRetry-After: {wait}\r\nContent-Length: {len(body)}\r\n\r\n"
            self._link.down.send(head.encode() + body)
            self.ended = True
            self._link.server_ends()
            return
        self._link.down.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + key.encode() + b"\r\n\r\n"
        )
        if refusal is not None:
            self.hang_up(refusal[0], "one session at a time")
            return
        self.session = self._service.endpoint.open()
        self._say(self.session.opened(self._world.time()))
        if rest:
            self.data_received(rest)

    def _frame(self, opcode: int, payload: bytes) -> None:
        match opcode:
            case 1 if self.session is not None:
                event = json.loads(payload)
                if "audio" in event:
                    event["audio"] = base64.b64decode(event["audio"])
                if self._world.log is not None:
                    self._note("<", event)
                self._say(self.session.receive(event, self._world.now))
            case 8:
                self.hang_up(int.from_bytes(payload[:2], "big") if payload else 1000, "", said=False)
            case 9 if self._service.endpoint.dials.pongs:
                self._write(frame(PONG, payload))
            case 9 | 10:
                pass
            case _:
                raise WireError(f"opcode {opcode}")

    # -- what it says -------------------------------------------------------------------------------------------------

    def _say(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            match outcome:
                case Later(delay, event, overtakes):
                    # Words come after the end of their turn was said; nothing waits for them.
                    at = max(self._world.now, self._said_at) + delay if overtakes else self._world.now + delay
                    if not overtakes:
                        self._said_at = at = max(at, self._said_at)
                    if at <= self._world.now and not self._waiting:
                        self.send(event)
                    else:
                        self._waiting += 1
                        self._world.at(at, lambda event=event: self._send_late(event))
                case Hangup(delay, code, reason):
                    at = self._world.now + delay
                    self._world.at(at, lambda code=code, reason=reason: self.hang_up(code, reason))

    def _send_late(self, event: dict[str, Any]) -> None:
        self._waiting -= 1
        self.send(event)

    def send(self, event: dict[str, Any]) -> None:
        """Say an event now."""
        if not self.ended:
            if self._world.log is not None:
                self._note(">", event)
            self._write(frame(TEXT, json.dumps(event).encode()))

    def send_garbage(self) -> None:
        """Say what is no event."""
        for payload in (b"{", b"[]", b"7", b'{"type":7}', b'{"type":"session.created","session":7}'):
            self._write(frame(TEXT, payload))
        self._write(frame(BINARY, b"\x00\xff"))

    def ping(self, count: int) -> None:
        """Ping the client."""
        for number in range(count):
            self._write(frame(PING, b"%d" % number))

    def hang_up(self, code: int | None, reason: str = "", *, said: bool = True) -> None:
        """End the connection: with a close frame, or without one (1006, None)."""
        if self.ended:
            return
        self._world.note(f"endpoint: ends connection {self._number} with {code} {reason}")
        if code is not None and code != 1006:
            self._write(frame(CLOSE, code.to_bytes(2, "big") + reason.encode()))
        self.ended = True
        del said
        self._link.server_ends()

    @property
    def _number(self) -> int:
        return self._service.peers.index(self) + 1

    def _write(self, data: bytes) -> None:
        if not self.ended:
            self._link.down.send(data)

    def _note(self, arrow: str, event: dict[str, Any]) -> None:
        shown = {name: value for name, value in event.items() if name not in {"event_id", "usage", "content_index"}}
        if "audio" in shown:
            shown["audio"] = f"{len(shown['audio']) // 2} samples"
        self._world.note(f"{arrow} {self._number} {json.dumps(shown)[:220]}")
