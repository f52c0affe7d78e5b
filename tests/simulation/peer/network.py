"""The network: connections with latency, bandwidth and buffers, and all ways in which they end or do not."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.machine.world import World
    from tests.simulation.scenario import Line

HIGH_WATER = 64 * 1024
"""Bytes in a transport's buffer from which on it asks for a pause, unless told otherwise."""
MOST_BUFFERED = 4 << 20
"""Bytes in the buffer of the client's transport that no run may exceed."""
CONNECTIONS_A_MINUTE = 100


class Server(Protocol):
    """The other end of a connection."""

    def data_received(self, data: bytes) -> None:
        """Take bytes of the client."""

    def eof_received(self) -> None:
        """Note that the client sends no more."""

    def lost(self) -> None:
        """Note that the connection is gone."""


class _Pipe:
    """One direction of a connection: bytes arrive in order, later, and as fast as the line is."""

    def __init__(self, world: World, line: Line, deliver: Callable[[bytes], object]) -> None:
        self._world, self._line, self._deliver = world, line, deliver
        self.on_room: Callable[[], None] = lambda: None
        self.frozen = False
        self.closed = False
        self.ended = False
        """FIN is under way: nothing may follow."""
        self.unread = 0
        """Bytes that the other end has not read."""
        self._free_at = self._arrived_at = 0.0
        self._waiting: deque[bytes | Callable[[], None]] = deque()

    @property
    def room(self) -> int:
        """Bytes that the buffers on the way take now."""
        return max(0, self._line.buffer - self.unread)

    def send(self, data: bytes) -> None:
        """Send bytes; they count as unread until the other end takes them."""
        world, line = self._world, self._line
        if self.ended:
            return
        self.unread += len(data)
        self._free_at = max(self._free_at, world.now) + len(data) / line.bandwidth
        jitter = world.random.random() * line.jitter if line.jitter else 0.0
        self._arrived_at = max(self._arrived_at, self._free_at + line.latency + jitter)
        world.at(self._arrived_at, lambda: self._arrive(data))

    def end(self, call: Callable[[], None]) -> None:
        """Let FIN arrive behind what was sent."""
        if self.ended:
            return
        self.ended = True
        self._arrived_at = max(self._arrived_at, self._world.now + self._line.latency)
        self._world.at(self._arrived_at, lambda: self._arrive(call))

    def freeze(self, *, frozen: bool) -> None:
        """Let nothing through, or all that waits."""
        self.frozen = frozen
        while self._waiting and not self.frozen:
            self._take(self._waiting.popleft())

    def _arrive(self, data: bytes | Callable[[], None]) -> None:
        if self.frozen or self._waiting:
            self._waiting.append(data)
        else:
            self._take(data)

    def _take(self, data: bytes | Callable[[], None]) -> None:
        if self.closed:
            return
        if callable(data):
            data()
        else:
            self.unread -= len(data)
            self._deliver(data)
            self.on_room()


class Link:
    """One connection, seen from outside: what a fault acts on."""

    def __init__(self, world: World, line: Line, transport: Transport) -> None:
        self.world, self.line, self.transport = world, line, transport
        self.server: Server | None = None
        self.up = _Pipe(world, line, lambda data: self.server and self.server.data_received(data))
        self.down = _Pipe(world, line, transport.deliver)
        self.up.on_room = transport.flush
        self.open = True

    def reset(self) -> None:
        """Cut both directions at once, by RST."""
        self._end(ConnectionResetError(104, "Connection reset by peer"))

    def server_ends(self) -> None:
        """End the server's direction behind what it has sent, by FIN."""
        if self.open:
            self.down.end(self._eof)

    def client_gone(self, *, abort: bool) -> None:
        """Note that the client has closed or aborted."""
        if self.open:
            self.open = False
            self.down.closed = True
            if abort:
                self._tell_server()
            else:
                self.up.end(self._tell_server)

    def _tell_server(self) -> None:
        self.up.closed = True
        if self.server is not None:
            self.server.lost()

    def _eof(self) -> None:
        if self.open:
            self.transport.eof()

    def _end(self, error: Exception | None) -> None:
        if self.open:
            self.open = False
            self.up.closed = self.down.closed = True
            self._tell_server()
            self.transport.lose(error)


class Transport(asyncio.Transport):
    """The client's end: the contract of asyncio's transports."""

    def __init__(self, loop: asyncio.AbstractEventLoop, world: World, line: Line) -> None:
        super().__init__()
        self._loop, self._world = loop, world
        self.link = Link(world, line, self)
        self._protocol: Any = None
        self._buffer = bytearray()
        self._high, self._low = HIGH_WATER, HIGH_WATER // 4
        self._paused_writing = self._paused_reading = False
        self._closing = self._lost = self._eof = False
        self._unread: deque[bytes] = deque()

    # -- asyncio ------------------------------------------------------------------------------------------------------

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what there is to know."""
        return {"peername": ("198.51.100.1", 80), "sockname": ("198.51.100.2", 50_000)}.get(name, default)

    def set_protocol(self, protocol: Any) -> None:
        """Set the protocol."""
        self._protocol = protocol

    def get_protocol(self) -> Any:
        """Return the protocol."""
        return self._protocol

    def is_closing(self) -> bool:
        """Whether it is closed or about to be."""
        return self._closing

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the limits."""
        self._high = HIGH_WATER if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        """Return the bytes that wait."""
        return len(self._buffer)

    def write(self, data: Any) -> None:
        """Send, as far as there is room; the rest waits."""
        if self._eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._lost or self._closing or not data:
            return
        self._buffer += data
        self.flush()
        if len(self._buffer) > MOST_BUFFERED:
            self._world.violated(f"{len(self._buffer)} bytes wait in the transport")
        if len(self._buffer) > self._high and not self._paused_writing:
            self._paused_writing = True
            self._protocol.pause_writing()

    def can_write_eof(self) -> bool:
        """Half-close is possible."""
        return True

    def write_eof(self) -> None:
        """Half-close: send no more behind what waits."""
        if not self._eof and not self._closing:
            self._eof = True
            self.flush()

    def pause_reading(self) -> None:
        """Stop reading."""
        self._paused_reading = True

    def resume_reading(self) -> None:
        """Go on reading."""
        self._paused_reading = False
        if self._unread:
            self._soon(self._read_on)

    def close(self) -> None:
        """Close behind what waits."""
        if not self._closing:
            self._closing = True
            if not self._buffer:
                self._soon(self.lose, None)
                self.link.client_gone(abort=False)

    def abort(self) -> None:
        """Close now."""
        self._buffer.clear()
        self._closing = True
        self._soon(self.lose, None)
        self.link.client_gone(abort=True)

    # -- the network --------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Send what waits, as far as there is room."""
        up = self.link.up
        while self._buffer and (room := up.room) and not self._lost:
            data = bytes(self._buffer[:room])
            del self._buffer[:room]
            up.send(data)
        if self._paused_writing and len(self._buffer) <= self._low and not self._lost:
            self._paused_writing = False
            self._soon(self._resume_writing)
        if not self._buffer and self._eof and self.link.server is not None:
            up.end(self.link.server.eof_received)
        if not self._buffer and self._closing and not self._lost and self.link.open:
            self._soon(self.lose, None)
            self.link.client_gone(abort=False)

    def _soon(self, call: Callable[..., object], *args: Any) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon(call, *args)

    def _resume_writing(self) -> None:
        if not self._lost and not self._paused_writing:
            self._protocol.resume_writing()

    def deliver(self, data: bytes) -> None:
        """Give bytes to the protocol, or keep them while it reads none."""
        if self._closing or self._lost:
            return
        if self._paused_reading or self._unread:
            self._unread.append(data)
        else:
            self._soon(self._read, data)

    def eof(self) -> None:
        """Pass the server's FIN on, behind what is not read."""
        if self._unread or self._paused_reading:
            self._unread.append(b"")
        else:
            self._soon(self._read, b"")

    def lose(self, error: Exception | None) -> None:
        """End."""
        if not self._lost:
            self._lost = self._closing = True
            self._soon(self._protocol.connection_lost, error)

    def _read_on(self) -> None:
        while self._unread and not self._paused_reading and not self._lost:
            self._hand_over(self._unread.popleft())

    def _read(self, data: bytes) -> None:
        if self._lost:
            return
        if self._paused_reading or self._unread:
            self._unread.append(data)
        else:
            self._hand_over(data)

    def _hand_over(self, data: bytes) -> None:
        if data:
            self._protocol.data_received(data)
        else:
            self._read_eof()

    def _read_eof(self) -> None:
        if self._lost or self._closing:
            return
        if not self._protocol.eof_received():
            self.close()


class Network:
    """All connections of a run.

    Args:
        world: Where it is.
        line: What connections are like.
        accept: Makes the server's end.
    """

    def __init__(self, world: World, line: Line, accept: Callable[[Link], Server]) -> None:
        self._world, self._line, self._accept = world, line, accept
        self.links: list[Link] = []
        self.refusing = 0
        """Faults that refuse connections now."""
        self.unreachable = 0
        """Faults that swallow connections now."""
        self.nameless = 0
        """Faults of the name service now."""
        self._times: deque[float] = deque()
        self.most_a_minute = 0

    @property
    def open_links(self) -> list[Link]:
        """The connections that are open at the client's end."""
        return [link for link in self.links if link.open]

    async def connect(self, loop: asyncio.AbstractEventLoop) -> Transport:
        """Open a connection."""
        world, line = self._world, self._line
        self._count()
        if self.nameless:
            raise socket.gaierror(-3, "Temporary failure in name resolution")
        await asyncio.sleep(2 * line.latency)
        if self.unreachable:
            world.note("net: SYN is lost")
            await asyncio.sleep(line.syn_timeout)
            raise TimeoutError(110, "Connection timed out")
        if self.refusing:
            world.note("net: refused")
            raise ConnectionRefusedError(111, "Connection refused")
        transport = Transport(loop, world, line)
        transport.link.server = self._accept(transport.link)
        self.links.append(transport.link)
        world.note(f"net: connection {len(self.links)} is open")
        return transport

    def _count(self) -> None:
        times, now = self._times, self._world.now
        times.append(now)
        while times[0] < now - 60:
            times.popleft()
        self.most_a_minute = max(self.most_a_minute, len(times))
        if len(times) > CONNECTIONS_A_MINUTE:
            self._world.violated(f"{len(times)} connections within a minute")
